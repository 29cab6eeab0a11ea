"""A trained model applied in batches: what comes back, and that batches do not show."""

import numpy as np
import pytest
import torch

from aae import inference
from aae.data import Stored
from aae.nn import POSTERIORS
from aae.splits import Part


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


@pytest.fixture
def make(tiny, new_model):
    """A model ready for use; weights large enough that codes differ."""

    def make(variant="basic", **changes):
        return new_model(tiny(model=variant, init="he", **changes)).eval()

    return make


@pytest.fixture
def small_batches(monkeypatch):
    monkeypatch.setattr(inference, "batch_size", lambda model: 30)


def unit(x):
    return ((x + 1) / 2).clamp(0, 1)


def test_pictures_in_batches(make, part, small_batches):
    batches = list(inference.in_batches(make(), part))
    assert [len(x) for x, _ in batches] == [30, 30, 30, 10]
    x, labels = (torch.cat(parts) for parts in zip(*batches, strict=True))
    torch.testing.assert_close(x, torch.from_numpy(part.images) / 127.5 - 1)
    assert labels.tolist() == part.labels.tolist()


def test_a_loop_over_batches_leaves_gradients_alone(make, part, small_batches):
    model = make()
    for _ in (*inference.in_batches(model, part), *inference.codes(model, part.images)):
        assert torch.is_grad_enabled()
        assert not torch.is_inference_mode_enabled()


@pytest.mark.parametrize("posterior", POSTERIORS)
@pytest.mark.parametrize("variant", ["basic", "semi"])
def test_encode(make, part, small_batches, variant, posterior):
    model = make(variant, posterior=posterior)
    codes = inference.encode(model, part.images)
    expected = model.encode(torch.from_numpy(part.images) / 127.5 - 1)
    for name in ("z", "mean", "std", "y_logits"):
        found, whole = getattr(codes, name), getattr(expected, name)
        assert (found is None) == (whole is None), name
        if found is not None:
            torch.testing.assert_close(found, whole.detach())
            assert not found.requires_grad


@pytest.mark.parametrize("posterior", POSTERIORS)
def test_encode_draws_where_a_generator_is_given(make, part, small_batches, posterior):
    model = make(posterior=posterior)
    first, again, other = (inference.encode(model, part.images, seeded(s)).z for s in (1, 1, 2))
    assert torch.equal(first, again)
    assert torch.equal(first, other) == (posterior == "deterministic")


def test_decode(make, small_batches):
    model, z = make(), torch.randn(70, 2, generator=seeded())
    pictures = inference.decode(model, z)
    torch.testing.assert_close(pictures, unit(model.decode(z)).detach())
    assert not pictures.requires_grad


@pytest.mark.parametrize("variant", ["supervised", "semi"])
def test_decode_with_labels(make, small_batches, variant):
    model, z = make(variant), torch.randn(70, 2, generator=seeded())
    labels = torch.arange(70) % 10
    pictures = inference.decode(model, z, labels)
    torch.testing.assert_close(pictures, unit(model.decode(z, labels)).detach())
    assert not torch.allclose(pictures, inference.decode(model, z, labels.flip(0)))


def test_pictures_stay_in_range(make):
    model = make(output="linear")
    pictures = inference.decode(model, 100 * torch.randn(20, 2, generator=seeded()))
    assert pictures.min() == 0
    assert pictures.max() == 1


@pytest.mark.parametrize("variant", ["basic", "supervised", "semi"])
def test_reconstruct(make, part, small_batches, variant):
    model = make(variant)
    x, labels = torch.from_numpy(part.images) / 127.5 - 1, torch.from_numpy(part.labels)
    found = inference.reconstruct(model, part)
    torch.testing.assert_close(found, unit(model.reconstruct(x, labels)).detach())
    hidden = Part(part.images, np.full(len(part.labels), -1))
    unlabelled = inference.reconstruct(model, hidden)
    assert torch.equal(unlabelled, found) == (variant != "supervised")


# --- in pieces, from files, in low precision


def test_pictures_in_files_are_read_a_batch_at_a_time(make, part, small_batches, monkeypatch):
    model, sizes = make(), []
    stored = Stored([part.images[:45], part.images[45:]])
    read = Stored.read
    monkeypatch.setattr(Stored, "read", lambda self, out: sizes.append(len(out)) or read(self, out))
    assert torch.equal(
        inference.encode(model, stored).mean, inference.encode(model, part.images).mean
    )
    assert sizes == [30, 30, 30, 10]
    found = inference.reconstruct(model, Part(stored, part.labels))
    assert torch.equal(found, inference.reconstruct(model, part))


def test_codes_come_batch_by_batch(make, part, small_batches):
    model = make("semi")
    pieces = list(inference.codes(model, part.images))
    assert [len(piece.z) for piece in pieces] == [30, 30, 30, 10]
    whole = inference.encode(model, part.images)
    for name in ("z", "mean", "std", "y_logits"):
        assert torch.equal(torch.cat([getattr(p, name) for p in pieces]), getattr(whole, name))


def test_a_batch_is_as_large_as_memory_allows(make, new_model, tiny):
    narrow, wide = (new_model(tiny(hidden=hidden)) for hidden in (16, 160))
    sizes = [inference.batch_size(model) for model in (narrow, wide)]
    assert sizes[0] > 2 * sizes[1] > 2
    units = 6 * 160 + 2 * 2 + 64 + 1  # hidden layers of three networks; code, picture and logit
    assert sizes[1] == 2**25 // (4 * (units + 64))
    assert inference.batch_size(new_model(tiny(hidden=10**6, layers=1))) == 2


@pytest.mark.parametrize("variant", ["basic", "supervised", "semi", "vae"])
def test_in_float32_a_model_is_used_as_it_is(make, part, variant):
    model = make(variant)
    low = inference.ready(model.train(), "float32")
    assert (model.training, low.training) == (True, False)
    assert torch.equal(inference.reconstruct(low, part), inference.reconstruct(model.eval(), part))


@pytest.mark.parametrize("variant", ["basic", "supervised", "semi", "vae"])
def test_in_bfloat16_products_are_and_results_are_not(make, part, variant):
    model, state = make(variant, batch_norm=True), torch.get_rng_state()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    low = inference.ready(model, "bf16")
    assert torch.equal(torch.get_rng_state(), state)
    kinds = {name: value.dtype for name, value in low.named_parameters()}
    assert kinds["decoder.pixels.weight"] == kinds["encoder.trunk.linears.1.bias"] == torch.bfloat16
    assert kinds["encoder.posterior.mean.weight"] == torch.float32
    assert kinds["decoder.trunk.linears.0.weight"] == torch.float32
    found, expected = (inference.encode(each, part.images) for each in (low, model))
    for value, exact in zip(vars(found).values(), vars(expected).values(), strict=True):
        if exact is not None:
            assert value.dtype == torch.float32
            assert not torch.equal(value, exact)
            torch.testing.assert_close(value, exact, rtol=0.02, atol=0.02 * exact.std().item())
    pictures = inference.reconstruct(low, part)
    assert pictures.dtype == torch.float32
    torch.testing.assert_close(pictures, inference.reconstruct(model, part), rtol=0, atol=0.02)
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())


def test_errors_are_of_what_is_shown(make, digits):
    """A guess beyond white or black is seen as white or black."""
    some = Part(digits.train_images[:40], digits.train_labels[:40])
    x = torch.from_numpy(some.images).double() / 127.5 - 1
    for beyond, bound in ((3.0, 1.0), (-3.0, -1.0)):
        found = inference.errors(make(), some, lambda x, _, beyond=beyond: x * 0 + beyond)
        expected = 0.5 * (bound - x).square().sum((1, 2, 3))
        torch.testing.assert_close(found, expected, rtol=1e-5, atol=1e-4)


# --- samples


@pytest.mark.parametrize("variant", ["basic", "labels", "supervised", "semi", "vae"])
def test_samples_are_the_generators(make, variant):
    model, state = make(variant), torch.get_rng_state()
    first, again, other = (inference.sample(model, None, 12, seeded(s)) for s in (1, 1, 2))
    assert first.shape == (12, 1, 8, 8)
    assert torch.equal(first, again)
    assert not torch.equal(first, other)
    assert torch.equal(state, torch.get_rng_state())


@pytest.fixture
def asked(monkeypatch):
    """Notes what the decoder is asked for."""
    seen = []

    def spy(model, z, labels=None):
        seen.append((z, labels))
        return torch.zeros(len(z), 1, 8, 8)

    monkeypatch.setattr(inference, "decode", spy)
    return seen


@pytest.mark.parametrize("variant", ["labels", "semi"])
def test_samples_come_piece_by_piece(make, small_batches, variant):
    model = make(variant, prior="mixture")
    labels = torch.arange(70) % 10
    pieces = list(inference.samples(model, labels, 70, seeded()))
    assert [len(piece) for piece in pieces] == [30, 30, 10]
    assert torch.equal(torch.cat(pieces), inference.sample(model, labels, 70, seeded()))
    others = inference.sample(model, labels.flip(0), 70, seeded())
    assert not torch.allclose(others, torch.cat(pieces))


def test_a_label_is_refused_before_the_first_piece(make):
    with pytest.raises(ValueError, match="this model samples without labels"):
        inference.samples(make(), torch.tensor([0]), 1, seeded())


def test_samples_come_from_the_prior(make, asked):
    inference.sample(make(prior_std=5.0), None, 5000, seeded())
    ((z, labels),) = asked
    assert z.std().item() == pytest.approx(5, rel=0.05)
    assert labels is None


@pytest.mark.parametrize("variant", ["basic", "labels"])
def test_labels_name_the_part_of_the_prior(make, asked, variant):
    model = make(variant, prior="mixture", radial_std=0.01, tangential_std=0.01)
    labels = torch.cat([torch.arange(10), torch.full((200,), -1)])
    inference.sample(model, labels, 210, seeded())
    ((z, shown),) = asked
    parts = model.prior.component_log_prob(z).argmax(1)
    assert torch.equal(parts[:10], labels[:10])
    assert len(parts[10:].unique()) == 10
    assert shown is None


@pytest.mark.parametrize("variant", ["supervised", "semi"])
def test_labels_go_to_the_decoder(make, asked, variant):
    labels = torch.cat([torch.arange(10), torch.full((200,), -1)])
    inference.sample(make(variant), labels, 210, seeded())
    inference.sample(make(variant), None, 200, seeded())
    (_, shown), (_, drawn) = asked
    assert torch.equal(shown[:10], labels[:10])
    for random in (shown[10:], drawn):
        assert random.unique().tolist() == list(range(10))


def test_a_style_does_not_depend_on_the_label(make, asked):
    # z is drawn from the whole prior even where it has parts of the labels' names.
    model = make("supervised", prior="mixture")
    inference.sample(model, torch.zeros(500, dtype=torch.long), 500, seeded())
    parts = model.prior.component_log_prob(asked[0][0]).argmax(1)
    assert len(parts.unique()) == 10


@pytest.mark.parametrize(
    ("changes", "label", "message"),
    [
        ({"variant": "basic"}, 0, "label 0 cannot be asked for: this model samples without labels"),
        ({"variant": "basic", "prior": "mixture"}, 10, "label 10 cannot .* are 0 to 9"),
        ({"variant": "labels", "prior": "swiss-roll", "components": 12}, 12, "are 0 to 11"),
        ({"variant": "supervised"}, 10, "label 10 cannot be asked for: this model's are 0 to 9"),
        ({"variant": "semi"}, 11, "label 11 cannot be asked for: this model's are 0 to 9"),
    ],
)
def test_a_label_that_the_model_does_not_know_is_refused(make, changes, label, message):
    model = make(**changes)
    with pytest.raises(ValueError, match=message):
        inference.sample(model, torch.tensor([label]), 1, seeded())
    inference.sample(model, torch.tensor([-1]), 1, seeded())
