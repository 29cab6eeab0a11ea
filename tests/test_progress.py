import io

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
