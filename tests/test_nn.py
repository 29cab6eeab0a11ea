"""Networks: what each gives, what it draws, and how it starts."""

import math

import pytest
import torch

from aae.nn import MLP, POSTERIORS, Critic, Decoder, Encoder, dropout, initialise

SHAPE = (1, 4, 4)
posteriors = pytest.mark.parametrize("posterior", POSTERIORS)


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


def pictures(n=6, seed=9):
    return torch.rand((n, *SHAPE), generator=seeded(seed)) * 2 - 1


def encoder(posterior="gaussian", scheme="he", **options):
    network = Encoder(16, 3, posterior=posterior, hidden=32, **options)
    initialise(network, scheme, seeded())
    return network


# --- dropout and hidden layers


def test_dropout_drops_its_share_and_scales_up_the_rest():
    x = dropout(torch.ones(100_000), 0.3, seeded())
    assert (x == 0).float().mean().item() == pytest.approx(0.3, abs=0.01)
    torch.testing.assert_close(x[x != 0], torch.full_like(x[x != 0], 1 / 0.7))


def test_dropout_comes_from_the_generator_alone():
    x, state = torch.ones(50), torch.get_rng_state()
    assert torch.equal(dropout(x, 0.5, seeded(1)), dropout(x, 0.5, seeded(1)))
    assert not torch.equal(dropout(x, 0.5, seeded(1)), dropout(x, 0.5, seeded(2)))
    assert torch.equal(torch.get_rng_state(), state)
    assert torch.equal(dropout(x, 0.5, None), x)
    assert torch.equal(dropout(x, 0.0, seeded()), x)


@pytest.mark.parametrize("slope", [0.0, 0.2])
def test_the_hidden_layers_by_hand(slope):
    mlp = MLP(2, 2, 2, slope=slope)
    for linear in mlp.linears:
        torch.nn.init.eye_(linear.weight)
        torch.nn.init.zeros_(linear.bias)
    x = mlp(torch.tensor([[-1.0, 2.0]]))
    torch.testing.assert_close(x, torch.tensor([[-(slope**2), 2.0]]))


def test_every_hidden_layer_is_dropped_out():
    mlp = MLP(2, 1000, 1)
    torch.nn.init.ones_(mlp.linears[0].weight)
    h = mlp(torch.ones(1, 2), 0.25, seeded())
    assert (h == 0).float().mean().item() == pytest.approx(0.25, abs=0.05)


@pytest.mark.parametrize("layers", [1, 3])
def test_layers_and_units(layers):
    mlp = MLP(5, 7, layers)
    sizes = [tuple(linear.weight.shape) for linear in mlp.linears]
    assert sizes == [(7, 5), *[(7, 7)] * (layers - 1)]
    assert mlp(torch.ones(2, 5)).shape == (2, 7)


def test_batch_normalisation_by_hand():
    mlp = MLP(1, 1, 1, batch_norm=True)
    torch.nn.init.ones_(mlp.linears[0].weight)
    torch.nn.init.zeros_(mlp.linears[0].bias)
    x = torch.tensor([[1.0], [3.0]])
    torch.testing.assert_close(mlp(x), torch.tensor([[0.0], [1.0]]), atol=1e-4, rtol=0)
    # Running statistics: mean 0.1 · 2, variance 0.9 + 0.1 · 2.
    mlp.eval()
    torch.testing.assert_close(mlp(x[1:]), torch.tensor([[2.8 / math.sqrt(1.1)]]))


def test_batch_normalisation_sees_the_batch_in_training_only():
    x = pictures()
    normed, plain = encoder(batch_norm=True), encoder()
    assert not torch.allclose(normed.train()(x).z[:2], normed(x[:2]).z, atol=1e-3)
    before = {k: v.clone() for k, v in normed.eval().state_dict().items()}
    torch.testing.assert_close(normed(x).z[:2], normed(x[:2]).z)
    assert all(torch.equal(before[k], v) for k, v in normed.state_dict().items())
    torch.testing.assert_close(plain.train()(x).z[:2], plain(x[:2]).z)


# --- posteriors


@posteriors
@pytest.mark.parametrize("n_classes", [0, 4])
def test_what_an_encoder_gives(posterior, n_classes):
    codes = encoder(posterior, n_classes=n_classes)(pictures(), seeded())
    assert codes.z.shape == codes.mean.shape == (6, 3)
    assert (codes.std is not None) == (posterior == "gaussian")
    if n_classes:
        assert codes.y_logits.shape == (6, 4)
        torch.testing.assert_close(codes.y, codes.y_logits.softmax(1))
    else:
        assert codes.y is None
        assert codes.y_logits is None


@posteriors
def test_without_a_generator_the_code_is_the_mean(posterior):
    network, x = encoder(posterior), pictures()
    codes = network(x)
    assert torch.equal(codes.z, codes.mean)
    assert torch.equal(codes.z, network(x).z)


@posteriors
def test_the_draw_comes_from_the_generator_alone(posterior):
    network, x, state = encoder(posterior), pictures(), torch.get_rng_state()
    first, second = network(x, seeded(1)).z, network(x, seeded(2)).z
    assert torch.equal(first, network(x, seeded(1)).z)
    assert torch.equal(first, second) == (posterior == "deterministic")
    assert torch.equal(torch.get_rng_state(), state)


def test_the_gaussian_posterior_draws_from_its_mean_and_std():
    network, x = encoder(), pictures(1).expand(50_000, *SHAPE)
    codes = network(x, seeded())
    torch.testing.assert_close(codes.z.mean(0), codes.mean[0], atol=0.02, rtol=0.02)
    torch.testing.assert_close(codes.z.std(0), codes.std[0], atol=0, rtol=0.02)
    assert torch.equal(codes.mean, network(x).mean)


def test_the_gaussian_posteriors_std_never_vanishes():
    network = encoder()
    torch.nn.init.constant_(network.posterior.std.bias, -1000.0)
    std = network(pictures(), seeded()).std
    assert (std > 0).all()
    assert std.log().isfinite().all()


def test_the_universal_posterior_feeds_noise_to_the_encoder():
    network, x = encoder("universal"), pictures()
    assert network.trunk.linears[0].in_features == 16 + network.posterior.noise_dim
    drawn = network(x, seeded(1))
    assert torch.equal(drawn.z, drawn.mean)
    # Noise of one picture differs from that of the next.
    same = network(x[:1].expand(6, *SHAPE), seeded(1)).z
    assert torch.pdist(same).min() > 1e-3
    # Without weights on the noise nothing is left to chance.
    torch.nn.init.zeros_(network.trunk.linears[0].weight[:, 16:])
    torch.testing.assert_close(network(x, seeded(1)).z, network(x, seeded(2)).z)
    torch.testing.assert_close(network(x, seeded(1)).z, network(x).z)


def test_dropout_in_the_encoder():
    network, x = encoder("deterministic"), pictures()
    assert not torch.equal(network(x, seeded(1), 0.5).z, network(x, seeded(2), 0.5).z)
    assert torch.equal(network(x, None, 0.5).z, network(x).z)


@pytest.mark.parametrize("posterior", ["deterministic", "gaussian"])
def test_class_logits_are_the_encoders_own(posterior):
    network, x = encoder(posterior, n_classes=4), pictures()
    torch.testing.assert_close(network.class_logits(x), network(x).y_logits)


def test_codes_keep_all_their_digits_under_autocast():
    encoder_, x = encoder(n_classes=4, batch_norm=True), pictures()
    critic, decoder = Critic(3, n_labels=4, hidden=32), Decoder(3, SHAPE, hidden=32)
    layers = [encoder_.posterior.mean, encoder_.posterior.std, encoder_.classes,
              critic.trunk.linears[0], critic.logit, decoder.trunk.linears[0]]  # fmt: skip
    with torch.autocast("cpu", torch.bfloat16):
        for layer in layers:
            h = torch.randn(5, layer.in_features, generator=seeded())
            expected = (h[:, None] * layer.weight).sum(2) + layer.bias  # products autocast leaves
            torch.testing.assert_close(layer(h), expected, atol=1e-5, rtol=1e-5)
            assert layer(h.bfloat16()).dtype == torch.float32
        codes = encoder_(x, seeded())
        assert encoder_.trunk(x.flatten(1)).dtype == torch.bfloat16
        assert {codes.z.dtype, codes.std.dtype, codes.y_logits.dtype} == {torch.float32}
        assert decoder(codes.z).dtype == torch.float32
        assert critic(codes.z, torch.arange(6) % 4).dtype == torch.float32


# --- decoder and critic


@pytest.mark.parametrize("output", ["tanh", "linear"])
def test_the_decoders_pictures(output):
    network = Decoder(3, (3, 4, 5), hidden=32, output=output)
    initialise(network, "he", seeded())
    x = network(20 * torch.randn(9, 3, generator=seeded()))
    assert x.shape == (9, 3, 4, 5)
    assert (x.abs().max() <= 1) == (output == "tanh")


def test_the_decoder_reads_codes_side_by_side():
    network = Decoder(3, SHAPE, hidden=32)
    z, y = torch.randn(5, 2, generator=seeded()), torch.randn(5, 1, generator=seeded(1))
    assert torch.equal(network(z, y), network(torch.cat([z, y], 1)))
    assert not torch.equal(network(z, y), network(z, y + 1))
    assert not torch.equal(
        network(z, y, generator=seeded(1), drop=0.5), network(z, y, generator=seeded(2), drop=0.5)
    )


def test_the_critic_sees_labels_where_it_was_made_for_them():
    z = torch.randn(1, 2, generator=seeded()).expand(5, 2)
    critic = Critic(2, n_labels=4, hidden=32)
    initialise(critic, "he", seeded())
    logits = critic(z, torch.tensor([0, 1, 2, 3, -1]))
    assert logits.shape == (5,)
    assert torch.pdist(logits[:, None]).min() > 1e-3  # no label is a class of its own
    blind = Critic(2, hidden=32)
    assert torch.equal(blind(z), blind(z, torch.tensor([0, 1, 2, 3, -1])))


def test_the_critics_activation_leaks():
    assert Critic(2, hidden=32).trunk.slope == 0.2
    assert encoder().trunk.slope == Decoder(2, SHAPE, hidden=8).trunk.slope == 0


# --- initial weights


@pytest.mark.parametrize(
    ("scheme", "body", "head"),
    [
        ("he", math.sqrt(2 / 400), math.sqrt(2 / 400)),
        ("centred", math.sqrt(2 / 400), 0.01 * math.sqrt(2 / 400)),
        ("normal", 0.01, 0.01),
    ],
)
def test_the_scale_of_initial_weights(scheme, body, head):
    network = torch.nn.ModuleDict(
        {"encoder": Encoder(400, 20, n_classes=20, hidden=400), "critic": Critic(400, hidden=400)}
    )
    initialise(network, scheme, seeded())
    encoder, critic = network["encoder"], network["critic"]
    for layer in [*encoder.trunk.linears, *critic.trunk.linears]:
        assert layer.weight.std().item() == pytest.approx(body, rel=0.02)
    for layer in [encoder.posterior.mean, encoder.posterior.std, encoder.classes, critic.logit]:
        assert layer.weight.std().item() == pytest.approx(head, rel=0.15)
    if scheme != "centred":
        assert not any(p.any() for name, p in network.named_parameters() if name.endswith("bias"))


def test_centred_layers_that_read_a_code_bend_all_over_the_code_space():
    network = torch.nn.ModuleDict(
        {
            "encoder": Encoder(16, 2, n_classes=3, hidden=2000),
            "decoder": Decoder(2, SHAPE, hidden=2000),
            "critic": Critic(2, hidden=2000),
        }
    )
    initialise(network, "centred", seeded())
    reads_a_code = [network[name].trunk.linears[0] for name in ("decoder", "critic")]
    for layer in reads_a_code:
        # A unit bends on a line whose distance from the origin is that of a random point's shadow.
        distance = layer.bias / layer.weight.norm(dim=1)
        assert distance.mean().item() == pytest.approx(0, abs=0.1)
        assert distance.std().item() == pytest.approx(1, rel=0.1)
    others = {m.bias for m in network.modules() if isinstance(m, torch.nn.Linear)}
    assert not any(bias.any() for bias in others - {layer.bias for layer in reads_a_code})


def test_pixels_are_no_head():
    decoder = Decoder(400, (1, 20, 20), hidden=400)
    initialise(decoder, "centred", seeded())
    assert decoder.pixels.weight.std().item() == pytest.approx(math.sqrt(2 / 400), rel=0.02)


def test_initial_weights_come_from_the_generator_alone():
    def weights(seed, torch_seed):
        with torch.random.fork_rng():
            torch.manual_seed(torch_seed)
            network = Encoder(16, 3, n_classes=2, hidden=8)
            initialise(network, "centred", seeded(seed))
        return dict(network.named_parameters())

    first, again, other = weights(1, 0), weights(1, 1), weights(2, 0)
    assert all(torch.equal(first[name], again[name]) for name in first)
    assert not any(torch.equal(first[n], other[n]) for n in first if n.endswith("weight"))
