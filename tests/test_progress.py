import io
import pickle

import pytest
from rich.console import Console

from aae import progress


@pytest.fixture
def console():
    def make(**kind):
        return Console(file=io.StringIO(), width=100, **kind)

    return make


def test_a_line_for_each_epoch_where_nobody_looks(console, new_trainer, tiny):
    quiet = console()
    with progress.shown(quiet) as observer:
        trainer = new_trainer(tiny(epochs=3, log_every=1), [observer])
        trainer.run(lambda: {"reconstruction": 12.5, "error": 0.25})
    lines = quiet.file.getvalue().splitlines()
    assert len(lines) == 3
    for k, line in enumerate(lines):
        assert line.startswith(f"epoch {k + 1}/3; reconstruction ")
        assert "; validation: reconstruction 12.5, error 0.25; " in line
        assert line.endswith(" images/s")
        assert "\x1b" not in line


def test_long_lines_are_left_whole(console, new_trainer, tiny):
    quiet = console()
    with progress.shown(quiet) as observer:
        new_trainer(tiny(model="semi", epochs=1), [observer]).run()
    [line] = quiet.file.getvalue().splitlines()
    assert len(line) > 100
    assert "generator y" in line


def test_a_bar_on_a_terminal(console, new_trainer, tiny):
    terminal = console(force_terminal=True)
    with progress.shown(terminal) as observer:
        trainer = new_trainer(tiny(epochs=3, log_every=1), [observer])
        trainer.run(lambda: {"reconstruction": 12.5})
        [task] = observer.display.tasks
        assert (task.completed, task.total) == (12, 12)
        assert task.fields["epoch"] == "epoch 3/3"
        assert "generator z" in task.fields["losses"]
    assert "images/s" in terminal.file.getvalue()


def test_a_resumed_bar_begins_where_the_training_stands(console, new_trainer, tiny):
    terminal = console(force_terminal=True)
    seen = []
    with progress.shown(terminal) as observer:
        trainer = new_trainer(tiny(epochs=3), [observer])
        trainer.progress.epoch = 2
        step = observer.on_step
        observer.on_step = lambda trainer: (
            step(trainer),
            seen.append(observer.display.tasks[0].completed),
        )
        trainer.run()
    assert seen == [9, 10, 11, 12]


# --- many at once


def told(new_trainer, config, tell, name="seed-3"):
    new_trainer(config, [progress.Herald(name, tell)]).run(lambda: {"reconstruction": 12.5})


def test_a_herald_tells_of_every_log_and_epoch(new_trainer, tiny):
    news = []
    told(new_trainer, tiny(epochs=2, log_every=2), news.append)  # four batches an epoch
    assert [each.done for each in news] == [0.25, 0.5, 0.5, 0.5, 0.75, 1, 1, 1]
    assert [each.epoch for each in news] == [0, 0, 1, 1, 1, 1, 2, 2]
    assert [each.ends_epoch for each in news] == [False, False, False, True] * 2
    assert news[0].records.keys() == {"train"}
    assert news[-1].records["validation"]["reconstruction"] == 12.5
    assert {(each.name, each.epochs) for each in news} == {("seed-3", 2)}
    assert pickle.loads(pickle.dumps(news)) == news


def test_a_line_for_each_epoch_of_each(console, new_trainer, tiny):
    quiet = console()
    with progress.many_shown(quiet) as tell:
        for name in ("seed-3", "seed-4"):
            told(new_trainer, tiny(epochs=2), tell, name)
    lines = quiet.file.getvalue().splitlines()
    starts = [line.partition(";")[0] for line in lines]
    assert starts == [f"seed-{seed}: epoch {epoch}/2" for seed in (3, 4) for epoch in (1, 2)]
    assert all("; validation: reconstruction 12.5; " in line for line in lines)


def test_a_bar_for_each_on_a_terminal(console, new_trainer, tiny):
    terminal = console(force_terminal=True)
    with progress.many_shown(terminal) as tell:
        for name in ("seed-3", "seed-4"):
            told(new_trainer, tiny(epochs=2), tell, name)
    bars = [line for line in terminal.file.getvalue().splitlines() if " images/s" in line]
    for name, line in zip(("seed-3", "seed-4"), bars[-2:], strict=True):
        assert f"{name} epoch 2/2" in line
