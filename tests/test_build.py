"""What a config decides of the model that is built from it."""

import math

import pytest
import torch

from aae import losses
from aae.autoencoder import Pass
from aae.build import VARIANTS, build, reconstruction_share
from aae.data import Columns
from aae.own_networks import Networks
from aae.priors import Categorical, Gaussian, Mixture, SwissRoll, Uniform
from aae.terms import Balanced, TangentAdversarial, VirtualAdversarial, Warped


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


@pytest.mark.parametrize("variant", [*VARIANTS, "vat"])
def test_the_config_decides_the_reconstruction_loss(make, batch, variant):
    for name, loss in [("squared", losses.squared_error), ("absolute", losses.absolute_error)]:
        shared = Pass(make(variant, reconstruction=name), batch, seeded())
        found = shared.model.phases()[0].loss(shared)
        assert torch.equal(found, loss(shared.reconstruction, batch.x))


def test_a_sharpened_loss_is_no_weight_and_not_for_rows(make, new_model, tiny):
    model = make("basic", sharpen_from=0.5)
    assert model.state_dict().keys() == make("basic").state_dict().keys()
    with pytest.raises(ValueError, match="--sharpen-from is for pictures"):
        build(tiny(sharpen_from=0.5), (4,), 2, seeded())


def test_the_config_decides_the_networks(new_model, tiny):
    model = new_model(tiny(model="semi", labels=10, hidden=20, layers=3, latent_dim=4))
    networks = [model.encoder, model.decoder, *(a.critic for a in model.adversaries.values())]
    for network in networks:
        assert [linear.out_features for linear in network.trunk.linears] == [20] * 3
    assert model.adversaries["z"].critic.trunk.linears[0].in_features == 4
    assert model.adversaries["y"].critic.trunk.linears[0].in_features == 10
    assert model.decoder.trunk.linears[0].in_features == 14


@pytest.mark.parametrize("prior", ["gaussian", "uniform"])
def test_wide_codes_are_read_at_the_start_as_narrow_ones_are(make, prior):
    z = torch.randn(20, 2, generator=seeded())
    narrow, wide = (make("basic", prior=prior, prior_std=std) for std in (1.0, 5.0))
    assert torch.allclose(wide.decode(5 * z), narrow.decode(z), atol=1e-6)
    labels = torch.zeros(20, dtype=torch.long)
    told = [m.adversaries["z"].fake(c, labels) for m, c in ((narrow, z), (wide, 5 * z))]
    assert torch.allclose(*told, atol=1e-6)


@pytest.mark.parametrize("variant", ["labels", "supervised", "semi", "embed"])
def test_classes_beside_wide_codes_are_read_as_beside_narrow_ones(make, variant):
    z, y = torch.randn(20, 2, generator=seeded()), torch.eye(10)[torch.arange(20) % 10]
    narrow, wide = (make(variant, prior_std=std, latent_dim=2) for std in (1.0, 5.0))
    labels = torch.arange(20) % 10
    told = [m.adversaries["z"].fake(c, labels) for m, c in ((narrow, z), (wide, 5 * z))]
    assert torch.allclose(*told, atol=1e-6)
    if variant in ("supervised", "semi"):
        assert torch.allclose(wide.decoder(5 * z, y), narrow.decoder(z, y), atol=1e-6)
    if variant in ("semi", "embed"):
        critics = [model.adversaries["y"].critic(y) for model in (narrow, wide)]
        assert torch.equal(*critics)


def test_the_config_decides_the_last_activation(make):
    z = 1000 * torch.ones(1, 2)
    assert make("basic", init="he").decode(z).abs().max() <= 1
    assert make("basic", init="he", output="linear").decode(z).abs().max() > 1


@pytest.mark.parametrize("variant", VARIANTS)
def test_batch_normalisation_is_in_the_encoder_alone(make, variant):
    names = [
        name
        for name, module in make(variant, batch_norm=True).named_modules()
        if isinstance(module, torch.nn.BatchNorm1d)
    ]
    assert names == ["encoder.trunk.norms.0", "encoder.trunk.norms.1"]


def test_the_config_decides_how_far_terms_on_classes_look(make):
    sizes = {"vat_radius": 2.0, "tangent_radius": 0.5, "warp_size": 0.7, "balance_slack": 0.2}
    terms = VirtualAdversarial(2.0), TangentAdversarial(0.5), Warped(0.7), Balanced(0.2)
    assert make("vat", **sizes).terms == terms
    (helper,) = make("denoised", denoising_std=0.9).helpers
    assert helper.std == 0.9


def test_noise_is_taken_off_fully_connected_layers_of_ours(new_model, tiny):
    denoised = {"model": "denoised", "labels": 10, "hidden": 20, "layers": 3}
    (helper,) = new_model(tiny(**denoised)).helpers
    assert [each.lines.shape[1] for each in helper.combinations] == [64, 20, 20, 20]
    with pytest.raises(ValueError, match="take --network mlp, and none of your own"):
        build(tiny(**denoised, network="conv"), (1, 28, 28), 10, seeded())
    own = Networks(encoder=torch.nn.Flatten())
    with pytest.raises(ValueError, match="take --network mlp, and none of your own"):
        build(tiny(**denoised), (1, 8, 8), 10, seeded(), own)


def test_the_config_decides_the_prior(make):
    gaussian = make("basic", latent_dim=8, prior_std=5.0).prior
    assert isinstance(gaussian, Gaussian)
    assert (gaussian.dim, gaussian.std) == (8, 5)
    uniform = make("basic", prior="uniform", prior_std=2.0).prior
    assert isinstance(uniform, Uniform)
    assert uniform.half == 2
    mixture = make(
        "basic", prior="mixture", latent_dim=4, components=7, radius=2.0, radial_std=0.3,
        tangential_std=0.2,
    ).prior  # fmt: skip
    assert isinstance(mixture, Mixture)
    assert (mixture.dim, mixture.components, mixture.radius) == (4, 7, 2)
    assert (mixture.radial_std, mixture.tangential_std) == (0.3, 0.2)
    roll = make("basic", prior="swiss-roll", components=5).prior
    assert isinstance(roll, SwissRoll)
    assert roll.components == 5


def test_the_class_code_has_a_categorical_prior(make):
    model = make("semi")
    assert isinstance(model.adversaries["y"].prior, Categorical)
    assert model.adversaries["y"].prior.components == 10
    assert model.adversaries["z"].prior is model.prior


@pytest.mark.parametrize("prior", ["mixture", "swiss-roll"])
def test_labels_need_as_many_parts(make, prior):
    for few in (1, 9):
        words = rf"10 classes but the prior only {few} .* --components 10"
        with pytest.raises(ValueError, match=words):
            make("labels", prior=prior, components=few)
    make("labels", prior=prior, components=11)


@pytest.mark.parametrize("variant", VARIANTS)
def test_building_depends_on_its_generator_alone(tiny, same_state, variant):
    config, state = tiny(model=variant), torch.get_rng_state()
    first, again, other = (build(config, (3, 5, 4), 10, seeded(s)) for s in (1, 1, 2))
    assert same_state(first, again)
    for name, weight in first.named_parameters():
        if name.endswith("weight"):
            assert not torch.equal(weight, dict(other.named_parameters())[name]), name
    assert torch.equal(state, torch.get_rng_state())
    labels = torch.tensor([0, 1]) if first.decodes_labels else None
    assert first.decode(torch.zeros(2, 2), labels).shape == (2, 3, 5, 4)


def test_numbers_and_categories_of_a_table_weigh_as_much_as_a_picture_of_mnist():
    table = {"age": [1.0, 2.0, 4.0], "height": [3.0, 1.0, 1.0], "zone": ["a", "b", "c"]}
    columns = Columns.of(table)
    assert reconstruction_share((5,), columns) == pytest.approx(100 / (1 + math.log(3)))
    assert reconstruction_share((1,), Columns.of({"zone": ["a", "a"]})) == 200  # nothing to learn
