"""One contract for every variant × posterior × prior, and what sets each variant apart.

Together with `aae.autoencoder`, which the variants are made of.
"""

import copy
import dataclasses
import itertools

import pytest
import torch
from torch._subclasses.fake_tensor import FakeTensorMode

from aae import losses
from aae.autoencoder import Batch, Corruption, Pass
from aae.build import VARIANTS
from aae.codes import Codes
from aae.nn import POSTERIORS
from aae.recipes import RECIPES

PRIORS = ["gaussian", "mixture", "swiss-roll", "uniform"]
IMPOSSIBLE = {("vae", "deterministic"), ("vae", "universal"), ("vae", "uniform"),
              ("vat", "universal"), ("denoised", "universal"), ("embed", "mixture"),
              ("embed", "swiss-roll")}  # fmt: skip
contract = pytest.mark.parametrize(
    ("variant", "posterior", "prior"),
    [
        (variant, posterior, prior)
        for variant, posterior, prior in itertools.product(
            [*VARIANTS, "merged", "read", "vat", "denoised"], POSTERIORS, PRIORS
        )
        if not {(variant, posterior), (variant, prior)} & IMPOSSIBLE
    ],
)


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


def losses_of(model, batch, seed=0):
    """Each phase's loss, on one pass for all."""
    shared = Pass(model, batch, seeded(seed))
    return {phase.name: phase.loss(shared) for phase in model.phases()}


def decode(model, z, labels):
    return model.decode(z, labels if model.decodes_labels else None)


# --- the contract


@contract
def test_shapes(make, batch, variant, posterior, prior):
    model = make(variant, posterior, prior)
    codes = model.encode(batch.x)
    assert codes.z.shape == codes.mean.shape == (20, 2)
    assert decode(model, codes.z, batch.labels).shape == batch.x.shape
    assert model.reconstruct(batch.x, batch.labels).shape == batch.x.shape
    assert model.prior.sample(3, generator=seeded()).shape == (3, 2)
    with_classes = ("semi", "vat", "denoised", "cluster", "merged", "embed")
    assert (codes.y is not None) == (variant in with_classes)


@contract
def test_every_phase_has_a_weight_and_a_finite_loss(make, tiny, batch, variant, posterior, prior):
    model = make(variant, posterior, prior)
    found = losses_of(model, batch)
    assert found.keys() <= tiny().weights.keys()
    assert len(found) == len(model.phases())
    for loss in found.values():
        assert loss.shape == ()
        assert loss.isfinite()


def reached(model, batch, corruption=Corruption()):  # noqa: B008
    """Names of the parameters that some phase gives a gradient other than zero."""
    names = {p: name for name, p in model.named_parameters()}
    found = set()
    for phase in model.phases():
        loss = phase.loss(Pass(model, batch, seeded(), corruption))
        grads = torch.autograd.grad(loss, phase.parameters, allow_unused=True)
        pairs = zip(phase.parameters, grads, strict=True)
        found |= {names[p] for p, grad in pairs if grad is not None and grad.any()}
    return found


@contract
def test_every_parameter_learns(make, batch, variant, posterior, prior):
    model = make(variant, posterior, prior)
    assert reached(model, batch) == {name for name, _ in model.named_parameters()}


@pytest.mark.parametrize("posterior", POSTERIORS)
@pytest.mark.parametrize("name", RECIPES)
def test_every_parameter_of_every_recipe_learns(new_model, batch, name, posterior):
    config = dataclasses.replace(RECIPES[name](), hidden=32, batch_norm=True)
    if config.model == "vae":
        posterior = "gaussian"
    if posterior == "universal":
        config = dataclasses.replace(
            config, vat_weight=0.0, tangent_weight=0.0, denoising_weight=0.0
        )
    config = dataclasses.replace(config, posterior=posterior)
    model = new_model(config).train()
    corruption = Corruption(noise_std=0.3, dropout=0.2)
    assert reached(model, batch, corruption) == {name for name, _ in model.named_parameters()}


@contract
def test_a_phase_asks_for_its_own_parameters(make, variant, posterior, prior):
    model = make(variant, posterior, prior)
    classifier = {"encoder.trunk", "encoder.classes"}
    own = {
        "reconstruction": {"encoder", "decoder"},
        "discriminator_z": {"adversaries.z"},
        "generator_z": {"encoder.trunk", "encoder.posterior"},
        "discriminator_y": {"adversaries.y"},
        **dict.fromkeys(
            ("generator_y", "classification", "vat", "tangent", "warp", "balance", "disturbed"),
            classifier,
        ),
        "denoising": {*classifier, "helpers"},
        "heads": {"decoder.heads"},
        "kl": {"encoder.trunk", "encoder.posterior"},
        "reader": {"reader"},
        "reading": {"decoder"},
    }
    names = {p: name for name, p in model.named_parameters()}
    for phase in model.phases():
        starts = tuple(f"{module}." for module in own[phase.name])
        expected = {name for name in names.values() if name.startswith(starts)}
        assert {names[p] for p in phase.parameters} == expected, phase.name
        critic = phase.name == "reader" or "discriminator" in phase.name
        assert phase.side == ("critic" if critic else "autoencoder")
        assert phase.labelled == (phase.name in ("classification", "disturbed"))


@contract
def test_save_and_load(make, batch, variant, posterior, prior):
    model, other = make(variant, posterior, prior), make(variant, posterior, prior, seed=1)
    expected = model.reconstruct(batch.x, batch.labels)
    assert not torch.allclose(other.reconstruct(batch.x, batch.labels), expected)
    other.load_state_dict(model.state_dict())
    assert torch.equal(other.reconstruct(batch.x, batch.labels), expected)


@contract
def test_only_the_generator_draws(make, batch, same_state, variant, posterior, prior):
    model, state = make(variant, posterior, prior), torch.get_rng_state()
    first = losses_of(model, batch, seed=1)
    assert same_state(first, losses_of(model, batch, seed=1))
    assert not same_state(first, losses_of(model, batch, seed=2))
    assert torch.equal(model.encode(batch.x).z, model.encode(batch.x).z)
    drawn = [model.encode(batch.x, seeded(seed)).z for seed in (1, 2)]
    assert torch.equal(*drawn) == (posterior == "deterministic")
    assert torch.equal(state, torch.get_rng_state())


# --- who sees labels


@pytest.mark.parametrize("variant", ["basic", "semi", "vat", "denoised", "cluster", "embed", "vae"])
def test_labels_change_nothing_where_no_phase_may_see_them(make, batch, variant):
    model = make(variant)
    expected = losses_of(model, batch)
    for labels in (torch.full((20,), -1), batch.labels.flip(0)):
        other = Batch(batch.x, labels)
        assert torch.equal(
            model.reconstruct(batch.x, labels), model.reconstruct(batch.x, batch.labels)
        )
        shared = Pass(model, other, seeded())
        for phase in model.phases():
            if not phase.labelled:
                assert torch.equal(phase.loss(shared), expected[phase.name]), phase.name


@pytest.mark.parametrize("prior", ["mixture", "swiss-roll"])
def test_labels_reach_the_critic_of_the_label_informed_model(make, prior):
    adversary = make("labels", prior=prior, init="he").adversaries["z"]
    z = torch.randn(1, 2, generator=seeded()).expand(11, 2)
    logits = adversary.fake(z, torch.arange(11) - 1)
    assert torch.pdist(logits[:, None]).min() > 1e-3  # ten labels and "no label", all different


def test_label_informed_prior_samples_come_from_the_labels_part(make, monkeypatch):
    model = make("labels", prior="mixture", radial_std=0.01, tangential_std=0.01)
    adversary, seen = model.adversaries["z"], []
    monkeypatch.setattr(adversary.critic, "forward", lambda z, y: seen.append((z, y)) or z[:, 0])
    labels = torch.cat([torch.arange(10), torch.full((200,), -1)])
    adversary.real(labels, seeded())
    z, shown = seen[0]
    assert torch.equal(shown, labels)
    parts = model.prior.component_log_prob(z).argmax(1)
    assert torch.equal(parts[:10], labels[:10])
    assert len(parts[10:].unique()) == 10


def test_the_style_critic_sees_labels_and_holds_every_label_to_the_whole_prior(make, monkeypatch):
    model = make("supervised", prior="mixture", radial_std=0.01, tangential_std=0.01, init="he")
    adversary, seen = model.adversaries["z"], []
    z = torch.randn(1, 2, generator=seeded()).expand(11, 2)
    logits = adversary.fake(z, torch.arange(11) - 1)
    assert torch.pdist(logits[:, None]).min() > 1e-3
    monkeypatch.setattr(adversary.critic, "forward", lambda z, y: seen.append((z, y)) or z[:, 0])
    labels = torch.full((500,), 3)
    adversary.real(labels, seeded())
    z, shown = seen[0]
    assert torch.equal(shown, labels)
    assert len(model.prior.component_log_prob(z).argmax(1).unique()) == 10


def test_other_critics_are_shown_no_labels(make, batch):
    for variant in ("basic", "supervised", "semi"):
        model = make(variant, prior="mixture", style_critic="plain", init="he")
        for adversary in model.adversaries.values():
            code = adversary.prior.sample(20, generator=seeded())
            none = torch.full((20,), -1)
            assert torch.equal(adversary.fake(code, batch.labels), adversary.fake(code, none))
            assert torch.equal(
                adversary.real(batch.labels, seeded()), adversary.real(none, seeded())
            )


def test_the_supervised_decoder_is_told_the_label(make, batch):
    model = make("supervised")
    z = torch.zeros(11, 2)
    pictures = model.decode(z, torch.arange(11) - 1)
    assert torch.pdist(pictures.flatten(1)).min() > 1e-3
    # "No label" is a row of zeros.
    torch.testing.assert_close(pictures[:1], model.decoder(z[:1], torch.zeros(1, 10)))
    torch.testing.assert_close(pictures[4:5], model.decoder(z[:1], torch.eye(10)[3:4]))
    torch.testing.assert_close(
        model.reconstruct(batch.x, batch.labels),
        model.decode(model.encode(batch.x).mean, batch.labels),
    )


def test_the_semi_supervised_decoder_is_given_the_encoders_own_classes(make, batch):
    model = make("semi", init="he")
    codes = model.encode(batch.x)
    torch.testing.assert_close(
        model.reconstruct(batch.x, batch.labels), model.decoder(codes.z, codes.y)
    )
    z = torch.zeros(10, 2)
    torch.testing.assert_close(model.decode(z, torch.arange(10)), model.decoder(z, torch.eye(10)))


@pytest.mark.parametrize("variant", ["supervised", "semi"])
def test_a_decoder_of_labels_refuses_none(make, variant):
    with pytest.raises(ValueError, match="needs a label for each code"):
        make(variant).decode(torch.zeros(1, 2))


# --- a pass


def test_a_pass_computes_once(make, batch):
    shared = Pass(make("semi"), batch, seeded())
    assert shared.codes is shared.codes
    assert shared.reconstruction is shared.reconstruction
    assert shared.fake("z") is shared.fake("z")
    assert shared.real("y") is shared.real("y")
    assert shared.fake("z") is not shared.fake("y")


def test_noise_is_on_the_encoders_input_alone(make, batch, monkeypatch):
    model = make("basic", posterior="deterministic")
    seen = []
    encoder = copy.deepcopy(model.encoder)
    monkeypatch.setattr(model.encoder, "forward", lambda x, *a: seen.append(x) or encoder(x, *a))
    noisy = Pass(model, batch, seeded(), Corruption(noise_std=0.5))
    loss = model.phases()[0].loss(noisy)
    noise = seen[0] - batch.x
    assert noise.std().item() == pytest.approx(0.5, rel=0.1)
    assert noise.mean().item() == pytest.approx(0, abs=0.05)
    # The loss is against the clean picture.
    expected = 0.5 * (noisy.reconstruction - batch.x).square().sum() / 20
    torch.testing.assert_close(loss, expected)


def test_classes_are_learned_from_noisy_pictures(make, batch):
    model = make("semi", init="he")
    seen = Pass(model, batch, seeded(), Corruption(noise_std=0.5))
    (phase,) = (phase for phase in model.phases() if phase.name == "classification")
    noisy, clean = (
        torch.nn.functional.cross_entropy(model.encode(x).y_logits, batch.labels)
        for x in (seen.x, batch.x)
    )
    torch.testing.assert_close(phase.loss(seen), noisy)
    assert abs(noisy - clean) > 0.01


def test_inputs_are_dropped_to_black_and_the_others_scaled_up(batch):
    seen = Corruption(input_dropout=0.2).input(batch.x, seeded())
    ink, before = (seen + 1) / 2, (batch.x + 1) / 2  # from 0, black, to 1
    dropped = (ink == 0) & (before > 0)
    assert dropped.sum() / (before > 0).sum() == pytest.approx(0.2, abs=0.05)
    torch.testing.assert_close(ink[~dropped], before[~dropped] / 0.8)


def test_features_are_dropped_to_0():
    rows = torch.full((100, 100), 3.0)
    seen = Corruption(input_dropout=0.25).input(rows, seeded())
    assert set(seen.unique().tolist()) == {0.0, 4.0}
    assert (seen == 0).float().mean().item() == pytest.approx(0.25, abs=0.02)


def test_dropped_inputs_are_still_reconstructed(make, batch):
    model = make("basic", posterior="deterministic")
    seen = Pass(model, batch, seeded(), Corruption(input_dropout=0.5))
    loss = model.phases()[0].loss(seen)
    expected = 0.5 * (seen.reconstruction - batch.x).square().sum() / 20
    torch.testing.assert_close(loss, expected)
    assert not torch.equal(seen.x, batch.x)


def test_dropout_is_in_encoder_and_decoder(make, batch):
    model = make("basic", posterior="deterministic")
    dropped = Pass(model, batch, seeded(), Corruption(dropout=0.5))
    assert not torch.allclose(dropped.codes.z, model.encode(batch.x).z)
    assert not torch.allclose(dropped.reconstruction, model.decode(dropped.codes.z))


def test_the_vaes_divergence(make, batch):
    closed, sampled = make("vae"), make("vae", prior="mixture", components=1, radius=0.0,
                                        radial_std=1.0, tangential_std=1.0)  # fmt: skip
    assert [phase.name for phase in closed.phases()] == ["reconstruction", "kl"]
    expected = losses_of(closed, batch)["kl"]
    # The same prior without its closed form: one draw for each picture, many times.
    draws = [losses_of(sampled, batch, seed)["kl"] for seed in range(200)]
    assert torch.stack(draws).mean().item() == pytest.approx(expected.item(), abs=0.03)


@pytest.mark.parametrize("variant", ["basic", "supervised", "semi", "cluster", "embed"])
def test_a_posterior_is_drawn_to_the_prior_where_asked(make, batch, variant):
    free, held = make(variant), make(variant, kl_weight=0.5)
    assert losses_of(held, batch).keys() - losses_of(free, batch).keys() == {"kl"}
    codes = held.encode(batch.x)
    expected = losses.kl_standard_gaussian(codes.mean, codes.std)
    torch.testing.assert_close(losses_of(held, batch)["kl"], expected)
    networks = {"encoder.trunk", "encoder.posterior"}
    (kl,) = (phase for phase in held.phases() if phase.name == "kl")
    names = {p: name for name, p in held.named_parameters()}
    assert {".".join(names[p].split(".")[:2]) for p in kl.parameters} == networks


def test_a_posterior_is_drawn_to_the_prior_s_own_width(make, batch):
    wide = make("basic", kl_weight=1.0, prior_std=5.0)
    codes = wide.encode(batch.x)
    expected = losses.kl_standard_gaussian(codes.mean, codes.std, 5.0)
    torch.testing.assert_close(losses_of(wide, batch)["kl"], expected)


def test_the_divergence_of_a_labelled_picture_is_from_its_own_part(make, batch):
    model = make("labels", prior="mixture", kl_weight=1.0)
    seen = Pass(model, batch, seeded())
    (kl,) = (phase for phase in model.phases() if phase.name == "kl")
    q = torch.distributions.Normal(seen.codes.mean, seen.codes.std)
    p = model.prior.component_log_prob(seen.codes.z).gather(1, batch.labels[:, None])
    expected = (q.log_prob(seen.codes.z).sum(1) - p[:, 0]).mean()
    torch.testing.assert_close(kl.loss(seen), expected)


def test_heads_are_kept_apart_by_the_distance_that_was_asked_for(make, batch):
    model = make("embed", heads_apart=2.0)
    with torch.no_grad():  # centres at 0, 20, 40, … along the first dimension; two are 1 apart
        model.decoder.heads.weight.copy_(torch.stack([10.0 * torch.arange(10), torch.zeros(10)]))
        model.decoder.heads.weight[:, 1] = torch.tensor([0.0, 0.5])
    assert losses_of(model, batch)["heads"].item() == pytest.approx(2 - 1)


def test_a_posterior_of_a_labelled_picture_is_drawn_to_its_own_part(make, batch):
    model = make("labels", prior="mixture", kl_weight=1.0)
    z = model.prior.sample(10, labels=torch.arange(10), generator=seeded())
    labels = torch.arange(10)
    parts = model.prior.component_log_prob(z)
    torch.testing.assert_close(model.log_prior(z, labels), parts.diagonal())
    torch.testing.assert_close(model.log_prior(z, labels - 100), model.prior.log_prob(z))
    assert torch.isfinite(losses_of(model, batch)["kl"])


def test_codes_may_be_elsewhere_than_the_heads(make, monkeypatch):
    # There need be no GPU: these tensors know where they would be, and hold nothing.
    model = make("embed")
    with FakeTensorMode():
        weight = torch.empty(model.decoder.heads.weight.shape, device="cuda")
        monkeypatch.setitem(model.decoder.heads._parameters, "weight", weight)
        codes = Codes(torch.empty(3, 2), torch.empty(3, 2), None, torch.empty(3, 10))
        assert model.embed(codes).device.type == "cpu"
