"""A user's own networks: what they must make, that they are trained as ours are, opened again."""

import pytest
import torch
from safetensors.torch import load_file
from torch import nn

import aae
from aae import inference
from aae.autoencoder import Batch
from aae.build import build
from aae.cli import main
from aae.evaluate import evaluate
from aae.export import export
from aae.fit import Interrupted, fit, resume
from aae.own_networks import Networks
from aae.run import Run
from aae.training import checkpoint
from aae.training.fast import FastJointStep
from aae.training.finite import Watch
from aae.training.stacked import stack, stacked_step
from aae.training.trainer import PLAIN, STEPS, make_step
from aae.training.twin import twin


class Features(nn.Module):
    """An encoder with what ours lack: a normalisation over the batch, and a weight of its own."""

    def __init__(self):
        super().__init__()
        self.convolution = nn.Conv2d(1, 4, 3, stride=2, padding=1)
        self.norm = nn.BatchNorm2d(4)
        self.scale = nn.Parameter(torch.ones(64))

    def forward(self, x):
        return self.norm(self.convolution(x)).relu().flatten(1) @ torch.diag(self.scale)


def decoder(inputs=2):
    return nn.Sequential(nn.Linear(inputs, 20), nn.GELU(), nn.Linear(20, 64), nn.Tanh(),
                         nn.Unflatten(1, (1, 8, 8)))  # fmt: skip


def critic(inputs=2, outputs=1):
    return nn.Sequential(nn.Linear(inputs, 20), nn.ELU(), nn.Linear(20, outputs))


def all_three():
    return Networks(encoder=Features(), decoder=decoder(), critic=critic())


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


def made(config, networks):
    return build(config, (1, 8, 8), 10, seeded(), networks)


# --- the contract


def test_they_stand_in_the_model_with_their_own_weights(tiny):
    networks = all_three()
    model = made(tiny(), networks)
    for part, own in (
        (model.encoder, networks.encoder),
        (model.decoder, networks.decoder),
        (model.adversaries["z"].critic, networks.critic),
    ):
        assert torch.equal(
            nn.utils.parameters_to_vector(part.trunk.parameters()),
            nn.utils.parameters_to_vector(own.parameters()),
        )
        assert part.trunk.module is not own
    x = torch.rand(5, 1, 8, 8) * 2 - 1
    codes = model.eval().encode(x)
    assert codes.z.shape == (5, 2)
    torch.testing.assert_close(model.decode(codes.z), networks.decoder(codes.z))
    assert model.adversaries["z"].fake(codes.z, torch.zeros(5)).shape == (5,)


@pytest.mark.parametrize(
    ("variant", "beside_z", "beside_critic"),
    [("basic", 0, 0), ("supervised", 10, 11), ("labels", 0, 11), ("semi", 10, 0), ("embed", 0, 0)],
)
@pytest.mark.parametrize("kind", STEPS.values())
def test_a_step_changes_them_in_every_variant(
    tiny, batches, variant, beside_z, beside_critic, kind
):
    networks = Networks(
        encoder=Features(), decoder=decoder(2 + beside_z), critic=critic(2 + beside_critic)
    )
    config = tiny(model=variant, classification_every=1)
    model = made(config, networks)
    before = {name: weight.clone() for name, weight in model.named_parameters()}
    step = kind(model, config)
    for count in range(2):
        step(batches[0], lambda: batches[1], count, seeded())
    same = [name for name, weight in model.named_parameters() if torch.equal(weight, before[name])]
    assert [name for name in same if "convolution.bias" not in name] == []  # a norm undoes it
    assert model.state_dict()["encoder.trunk.module.norm.num_batches_tracked"] > 0


@pytest.mark.parametrize("kind", ["joint", "alternating"])
@pytest.mark.parametrize("mixes", [False, True])
def test_a_critic_that_mixes_rows_reads_prior_samples_and_codes_apart(tiny, kind, mixes):
    norm = nn.BatchNorm1d(20) if mixes else nn.LayerNorm(20)
    own = nn.Sequential(nn.Linear(2, 20), norm, nn.Dropout(), nn.ELU(), nn.Linear(20, 1))
    config = tiny(step=kind)
    model = made(config, Networks(critic=own))
    fast = STEPS[kind]
    assert type(make_step(model, config)) is (PLAIN[fast] if mixes else fast)
    if mixes:  # it was tried on a copy
        assert model.adversaries["z"].critic.trunk.module[1].num_batches_tracked == 0


@pytest.mark.parametrize(
    ("networks", "words"),
    [
        ({"encoder": nn.Unflatten(2, (2, 4))}, r"encoder given, for \[n, 1, 8, 8\], must make "
         r"\[n, any\]; of two it makes \[2, 1, 2, 4, 8\]"),
        ({"encoder": nn.Conv2d(3, 4, 3)}, r"encoder given, .* it fails: .*to have 3 channels"),
        ({"encoder": nn.Flatten(0)}, r"of two it makes \[128\]"),
        ({"encoder": nn.LSTM(8, 3)}, "it fails: "),
        ({"decoder": nn.Linear(2, 64)}, r"decoder given, for \[n, 2\], must make "
         r"\[n, 1, 8, 8\]; of two it makes \[2, 64\]"),
        ({"critic": critic(outputs=2)}, r"critic given, for \[n, 2\], must make "
         r"\[n\] or \[n, 1\]; of two it makes \[2, 2\]"),
        ({"critic": critic(inputs=3)}, "critic given, .* it fails: "),
    ],
)  # fmt: skip
def test_what_does_not_fit_is_refused(tiny, digits, tmp_path, networks, words):
    with pytest.raises(ValueError, match=words):
        fit(tiny(), tmp_path / "run", dataset=digits, networks=Networks(**networks))
    assert not (tmp_path / "run").exists()


class Moving(nn.Module):
    """An encoder that keeps the mean of what it has seen, in place or in a new tensor."""

    def __init__(self, *, in_place):
        super().__init__()
        self.in_place = in_place
        self.register_buffer("mean", torch.zeros(64))

    def forward(self, x):
        x = x.flatten(1)
        if self.training:
            now = 0.9 * self.mean + 0.1 * x.detach().mean(0)
            self.mean = self.mean.copy_(now) if self.in_place else now
        return x - self.mean


def test_a_buffer_is_to_be_changed_in_place(tiny, batches):
    with pytest.raises(ValueError, match="encoder given makes a new tensor of its buffer 'mean'"):
        made(tiny(), Networks(encoder=Moving(in_place=False)))
    config = tiny()
    model = made(config, Networks(encoder=Moving(in_place=True)))
    assert not model.encoder.trunk.module.mean.any()  # it was tried on a copy
    make_step(model, config)(batches[0], lambda: None, 0, seeded())
    assert model.encoder.trunk.module.mean.any()


@pytest.mark.parametrize("norm", [nn.utils.spectral_norm, nn.utils.weight_norm])
@pytest.mark.filterwarnings("ignore:.*deprecated")
def test_what_cannot_be_copied_is_refused(tiny, norm):
    with pytest.raises(ValueError, match=r"it fails: .*nn.utils.parametrizations has"):
        made(tiny(), Networks(encoder=nn.Sequential(nn.Flatten(), norm(nn.Linear(64, 9)))))
    new = getattr(nn.utils.parametrizations, norm.__name__)
    made(tiny(), Networks(encoder=nn.Sequential(nn.Flatten(), new(nn.Linear(64, 9)))))


def test_trying_them_changes_neither_their_statistics_nor_the_global_stream(tiny):
    own = nn.Sequential(nn.Flatten(), nn.BatchNorm1d(64), nn.Dropout())
    networks = Networks(encoder=own, critic=nn.Sequential(nn.Dropout(), critic()))
    torch.manual_seed(3)
    model = made(tiny(), networks)
    assert make_step(model, tiny()) is not None
    drawn = torch.rand(3)
    torch.manual_seed(3)
    assert torch.equal(drawn, torch.rand(3))
    statistics = model.encoder.trunk.module[1].state_dict()
    for name, values in own[1].state_dict().items():
        assert torch.equal(statistics[name], values)


@pytest.mark.parametrize("kind", STEPS.values())
def test_the_layout_of_weights_makes_no_difference(tiny, batches, kind):
    config, ends = tiny(), []
    for layout in (torch.contiguous_format, torch.channels_last):
        torch.manual_seed(0)
        own = nn.Sequential(nn.Conv2d(1, 6, 3), nn.Conv2d(6, 4, 3), nn.Flatten())
        model = made(config, Networks(encoder=own.to(memory_format=layout)))
        step = kind(model, config)
        for count in range(2):
            step(batches[0], lambda: batches[1], count, seeded())
        ends.append(nn.utils.parameters_to_vector(model.parameters()))
    torch.testing.assert_close(*ends)


def test_weights_may_be_shared(tiny, digits, tmp_path, no_pictures, same_state):
    def tied():
        first, second = nn.Linear(64, 64), nn.Linear(64, 64)
        second.weight = first.weight
        return Networks(encoder=nn.Sequential(nn.Flatten(), first, nn.Tanh(), second))

    run = fit(tiny(epochs=1), tmp_path / "run", dataset=digits, networks=tied())
    model = Run(run.folder, tied()).model()
    assert same_state(model, run.model())
    first, second = model.encoder.trunk.module[1::2]
    assert first.weight is second.weight
    encoder, _ = export(run, tmp_path / "out", "safetensors")
    exported = load_file(encoder)
    assert torch.equal(exported["trunk.module.1.weight"], exported["trunk.module.3.weight"])


def test_noise_has_no_place_in_an_encoder_of_ones_own(tiny):
    with pytest.raises(ValueError, match="--posterior universal feeds noise"):
        made(tiny(posterior="universal"), Networks(encoder=Features()))


def test_a_twin_leaves_them_whole_and_codes_keep_their_digits(tiny, batches):
    networks = all_three()
    low = twin(made(tiny(), networks), torch.bfloat16)
    given = low.encoder.trunk, low.decoder.trunk, low.adversaries["z"].critic.trunk
    assert all(p.dtype == torch.float32 for part in given for p in part.parameters())
    assert [part.dtype for part in given] == [torch.bfloat16, torch.float32, torch.float32]
    z = torch.randn(5, 2, generator=seeded())
    with torch.autocast("cpu", torch.bfloat16):
        torch.testing.assert_close(low.decode(z), made(tiny(), networks).decode(z))
    config = tiny(precision="bf16")
    losses = FastJointStep(made(config, networks), config)(batches[0], lambda: None, 0, seeded())
    assert all(loss.isfinite() for loss in losses.values())


def test_what_they_compute_counts_for_the_size_of_batches(tiny):
    wide = nn.Sequential(nn.Conv2d(1, 500, 3), nn.Flatten(), nn.Linear(500 * 36, 3))
    sizes = [inference.batch_size(made(tiny(), Networks(encoder=net))) for net in (wide, wide[1])]
    assert 100 < sizes[0] < sizes[1] / 10


def test_what_they_compute_is_counted_as_they_are_tried_alone(tiny):
    model = made(tiny(), Networks(encoder=Features()))
    before = model.encoder.trunk.values
    model.encode(torch.zeros(4, 1, 8, 8))
    assert model.encoder.trunk.values == before > 0


# --- weights that the user froze


def frozen(*names, beside_z=0, beside_critic=0):
    """Three networks, of which those named learn nothing; of the encoder, all but its scale."""
    networks = Networks(
        encoder=Features(), decoder=decoder(2 + beside_z), critic=critic(2 + beside_critic)
    )
    for name in names:
        getattr(networks, name).requires_grad_(False)
    networks.encoder.scale.requires_grad_(True)
    return networks


def wrong(model, before):
    """The names of frozen weights that have changed, and of others that have not."""
    return [
        name
        for name, weight in model.named_parameters()
        if torch.equal(weight, before[name]) == weight.requires_grad
        and not (weight.requires_grad and "convolution.bias" in name)  # a norm undoes it
    ]


@pytest.mark.parametrize("names", [["encoder"], ["critic"], ["encoder", "decoder", "critic"]])
@pytest.mark.parametrize("changes", [{}, {"model": "read", "optimizer": "sgd"}])
@pytest.mark.parametrize("kind", STEPS.values())
def test_a_step_leaves_frozen_weights_and_changes_all_others(tiny, batches, names, changes, kind):
    reads = "model" in changes
    config = tiny(**changes)
    model = made(config, frozen(*names, beside_z=10 * reads, beside_critic=11 * reads))
    before = {name: weight.clone() for name, weight in model.named_parameters()}
    step = kind(model, config)
    for count in range(2):
        losses = step(batches[0], lambda: batches[1], count, seeded())
        assert all(loss > 0 for loss in losses.values())
    assert not step.watch.look()
    assert wrong(model, before) == []
    assert model.state_dict()["encoder.trunk.module.norm.num_batches_tracked"] > 0


def test_what_moves_no_weight_is_watched_on_other_devices_too():
    with torch.device("meta"):
        watch = Watch(critic(), ["discriminator_z"])
        assert watch({"discriminator_z": torch.zeros(())}, [], 0).shape == ()


@pytest.mark.parametrize("on_nonfinite", ["stop", "skip"])
@pytest.mark.parametrize("kind", ["joint-plain", "alternating-plain"])
def test_frozen_weights_of_stacked_models_stay(tiny, batches, kind, on_nonfinite):
    config = tiny(step=kind, on_nonfinite=on_nonfinite)
    networks = frozen("encoder", "critic")
    networks.encoder.norm = nn.Identity()  # no stacked model counts batches
    model = stack([made(config, networks) for _ in range(2)])
    before = {name: weight.clone() for name, weight in model.named_parameters()}
    both = Batch(*(torch.stack([t, t]) for t in (batches[0].x, batches[0].labels)))
    generators = [seeded(k) for k in range(2)]
    stacked_step(model, config, generators)(both, lambda: None, 0, generators[0])
    assert wrong(model, before) == []


@pytest.mark.parametrize("kind", STEPS)
def test_a_run_with_frozen_weights_goes_on_to_the_bit(
    tiny, digits, tmp_path, no_pictures, same_state, kind
):
    config, networks = tiny(step=kind), frozen("encoder", "decoder")
    whole = fit(config, tmp_path / "whole", dataset=digits, networks=networks)
    stopped = Run.create(tmp_path / "stopped", config, digits, networks).folder
    steps = iter(range(15))
    with pytest.raises(Interrupted):
        resume(stopped, dataset=digits, networks=networks, stop=lambda: next(steps, None) is None)
    resumed = resume(stopped, dataset=digits, networks=networks)
    ends = [checkpoint.read(checkpoint.newest(run.checkpoints)) for run in (whole, resumed)]
    assert same_state(*ends)
    assert same_state(whole.model().decoder.trunk.module, networks.decoder)


# --- a run


@pytest.fixture(scope="module")
def run(tiny, digits, tmp_path_factory):
    """A run with an encoder and a critic of one's own."""
    folder = tmp_path_factory.mktemp("runs") / "own"
    networks = Networks(encoder=Features(), critic=critic())
    return fit(tiny(epochs=1), folder, dataset=digits, networks=networks)


def test_a_run_is_opened_with_them_again(run, digits, same_state):
    networks = Networks(encoder=Features(), critic=critic())
    again = Run(run.folder, networks)
    assert same_state(again.model(), run.model())
    assert evaluate(again, dataset=digits, split="validation")["reconstruction_error"] > 0
    assert resume(run.folder, dataset=digits, networks=networks).epochs_done == 1


def test_a_run_that_may_be_large_is_opened_with_them_again(run, monkeypatch):
    monkeypatch.setattr("aae.run.SURELY_HELD", 0)
    networks = Networks(encoder=Features(), critic=critic())
    assert Run(run.folder, networks).model().encoder.trunk.module.scale.shape == (64,)


def test_without_them_it_says_what_it_needs(run, capsys):
    words = r"was trained with the user's own encoder and critic: open it in Python by Run\("
    assert Run(run.folder).config.epochs == 1  # the rest of it can be read
    for networks in (Networks(), Networks(encoder=Features())):
        with pytest.raises(ValueError, match=words):
            Run(run.folder, networks).model()
    assert main(["evaluate", str(run.folder)]) == 2
    assert "Networks(encoder=…, critic=…))" in capsys.readouterr().err


def test_no_estimator_takes_them(run):
    with pytest.raises(ValueError, match="own encoder and critic: open it in Python by Run"):
        aae.load(run.folder)


def test_those_of_another_kind_are_refused(run):
    with pytest.raises(ValueError, match="are not those of this model"):
        Run(run.folder, Networks(encoder=nn.Flatten(), critic=critic())).model()


def test_a_run_of_our_networks_takes_no_others(tiny_run):
    with pytest.raises(ValueError, match=r"was trained with our networks alone: open it .* by Run"):
        Run(tiny_run.folder, Networks(critic=critic())).model()
