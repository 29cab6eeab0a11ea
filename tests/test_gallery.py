"""The pictures of a model: which there are, and which code each tile shows."""

import math

import numpy as np
import pytest
import torch
from matplotlib.figure import Figure

from aae import gallery, inference
from aae.priors import Gaussian, Mixture, SwissRoll, Uniform
from aae.splits import Part, Splits


@pytest.fixture
def make(tiny, new_model, monkeypatch):
    """A model ready for use, and few tiles to draw."""
    monkeypatch.setattr(gallery, "SIDE", 3)

    def make(variant="basic", **changes):
        return new_model(tiny(model=variant, init="he", **changes)).eval()

    return make


@pytest.fixture
def drawn(monkeypatch):
    """What the plotting functions are given, by their name; nothing is drawn."""
    seen = {}
    for name in ("grid", "latent", "code_histograms", "reconstructions"):

        def spy(*args, name=name, **options):
            seen.setdefault(name, []).append((args, options))
            return Figure()

        monkeypatch.setattr(f"aae.plots.{name}", spy)
    return seen


def pictures(model, part, classes=tuple("0123456789"), seed=0):
    return gallery.pictures(model, part, classes, seed=seed)


@pytest.mark.parametrize("prior", ["gaussian", "mixture", "swiss-roll", "uniform"])
@pytest.mark.parametrize(
    "variant", ["basic", "labels", "supervised", "semi", "cluster", "embed", "vae"]
)
def test_every_model_has_its_pictures(make, drawn, part, variant, prior):
    if (variant, prior) in {("vae", "uniform"), ("embed", "mixture"), ("embed", "swiss-roll")}:
        prior = "gaussian"
    names = pictures(make(variant, prior=prior), part).keys()
    manifolds = {f"manifold-{k}" for k in range(10)} if prior == "mixture" else {"manifold"}
    own = {"style"} if variant in ("supervised", "semi", "embed") else manifolds
    own = {"style", "clusters"} if variant == "cluster" else own
    assert names == {"latent", "samples", "reconstructions", *own}


@pytest.mark.parametrize("changes", [{"variant": "labels", "prior": "mixture"}, {"latent_dim": 5}])
def test_they_can_be_drawn(make, part, changes):
    few = Part(part.images[:20], part.labels[:20])
    for name, figure in pictures(make(**changes), few).items():
        assert isinstance(figure, Figure), name
        figure.canvas.draw()


def test_the_codes_are_means_over_the_prior(make, drawn, part):
    model = make(prior="mixture")
    pictures(model, part)
    ((codes, labels), options) = drawn["latent"][0]
    assert np.array_equal(codes, inference.encode(model, part.images).mean)
    assert np.array_equal(labels, part.labels)
    assert options["limit"] == model.prior.limit
    assert options["names"] == tuple("0123456789")
    x, y, log_p = options["density"]
    assert x[0] == -x[-1] == -model.prior.limit
    assert np.array_equal(x, y)
    i, j = 30, 120
    at = model.prior.log_prob(torch.tensor([[x[j], y[i]]]))
    assert log_p[i, j] == pytest.approx(at.item(), rel=1e-4)  # rows are y, columns x


def test_of_many_pictures_some_of_all_are_drawn(make, drawn, part, monkeypatch):
    monkeypatch.setattr(gallery, "CODES", 10)
    model = make()
    pictures(model, part)
    ((codes, labels), _) = drawn["latent"][0]
    some = part.some(10)
    assert np.array_equal(codes, inference.encode(model, some.images).mean)
    assert np.array_equal(labels, some.labels)


@pytest.mark.parametrize("prior", [Gaussian(2), Uniform(2), Mixture(2), SwissRoll(4)])
def test_the_density_is_finite_somewhere(prior):
    x, y, log_p = gallery.density(prior, steps=41)
    assert log_p.shape == (len(y), len(x)) == (41, 41)
    assert np.isfinite(log_p).any()


def test_codes_of_more_dimensions_are_histograms(make, drawn, part):
    model = make(latent_dim=5, prior_std=3.0)
    pictures(model, part)
    (codes, prior), _ = drawn["code_histograms"][0]
    assert np.array_equal(codes, inference.encode(model, part.images).mean)
    assert prior.shape == (10_000, 5), "few codes do not make the prior ragged"
    assert prior.std() == pytest.approx(3, rel=0.02)


def test_the_manifold_is_the_decoded_grid(make, drawn):
    model = make()
    assert gallery.manifold(model, 4).keys() == {"manifold"}
    (images,), options = drawn["grid"][0]
    codes = model.prior.manifold(4)[0]
    assert options["columns"] == 4
    np.testing.assert_array_equal(images, inference.decode(model, codes))


def test_the_mixture_has_a_manifold_for_each_component(make, drawn):
    model = make(prior="mixture", components=4)
    assert [*gallery.manifold(model, 3)] == [f"manifold-{k}" for k in range(4)]
    for k, ((images,), options) in enumerate(drawn["grid"]):
        np.testing.assert_array_equal(images, inference.decode(model, model.prior.manifold(3)[k]))
        assert options["title"].endswith(f"component {k}")


def test_of_very_many_components_some_have_a_manifold(make, monkeypatch):
    monkeypatch.setattr(gallery, "MANIFOLDS", 3)
    model = make(prior="mixture", components=9)
    assert [*gallery.manifold(model, 2)] == ["manifold-0", "manifold-4", "manifold-8"]


def test_random_samples_of_a_model_without_classes(make, drawn, part):
    for variant in ("basic", "labels"):  # a Gaussian has no parts to name
        drawn.clear()
        model = make(variant)
        gallery.samples(model, tuple("0123456789"), torch.Generator().manual_seed(3))
        (images,), options = drawn["grid"][0]
        expected = inference.sample(model, None, 9, torch.Generator().manual_seed(3))
        np.testing.assert_array_equal(images, expected)
        assert options.get("row_labels") is None
        assert options["columns"] == 3


@pytest.mark.parametrize("variant", ["labels", "supervised", "semi"])
def test_random_samples_of_a_model_with_classes_have_a_row_for_each(make, drawn, variant):
    model, classes = make(variant, prior="mixture"), tuple("abcdefghij")
    gallery.samples(model, classes, torch.Generator().manual_seed(3))
    (images,), options = drawn["grid"][0]
    rows = torch.arange(10).repeat_interleave(3)
    expected = inference.sample(model, rows, 30, torch.Generator().manual_seed(3))
    np.testing.assert_array_equal(images, expected)
    assert options["row_labels"] == [*classes]
    assert options["columns"] == 3


@pytest.mark.parametrize("variant", ["supervised", "semi"])
@pytest.mark.parametrize("count", [100, 4])
def test_style_has_a_class_a_row_and_a_style_a_column(make, drawn, part, variant, count):
    model, some = make(variant), Part(part.images[:count], part.labels[:count])
    gallery.style(model, some, tuple("0123456789"), torch.Generator().manual_seed(0))
    (images,), options = drawn["grid"][0]
    columns = min(count, 10)
    assert options["columns"] == columns
    table = images.reshape(10, columns, 1, 8, 8)
    codes = inference.encode(model, some.images).mean
    used = []
    for column in range(columns):
        # All rows of a column decode the code of one held-out picture, each with its own label.
        sheets = [inference.decode(model, code.expand(10, 2), torch.arange(10)) for code in codes]
        near = [np.abs(sheet.numpy() - table[:, column]).max() for sheet in sheets]
        used.append(int(np.argmin(near)))
        assert min(near) < 1e-5
    assert len(set(used)) == columns


@pytest.mark.parametrize("count", [3, 12])
def test_there_are_ten_styles_whatever_the_number_of_classes(make, drawn, part, count):
    model, classes = make("cluster", clusters=count), tuple(map(str, range(count)))
    gallery.style(model, part, classes, torch.Generator().manual_seed(0))
    [((images,), options)] = drawn["grid"]
    assert (len(images), options["columns"]) == (10 * count, 10)
    assert options["row_labels"] == [*classes]


def test_clusters_have_a_row_each_of_head_and_members(make, drawn, part):
    model = make("cluster", clusters=4)
    gallery.clusters(model, part, members=5)
    [((tiles,), options)] = drawn["grid"]
    rows = tiles.reshape(4, 6, *part.images.shape[1:])
    assert (options["columns"], options["row_labels"]) == (6, ["0", "1", "2", "3"])
    heads = inference.decode(model, torch.zeros(4, 2), torch.arange(4)).numpy()
    np.testing.assert_array_equal(rows[:, 0], heads)
    found = inference.encode(model, part.images).y.argmax(1).numpy()
    for k in range(4):
        own = part.images[found == k][:5] / np.float32(255)
        np.testing.assert_array_equal(rows[k, 1 : 1 + len(own)], own)
        assert not rows[k, 1 + len(own) :].any()


def test_of_more_classes_than_can_be_drawn_some_have_a_row_and_the_title_says_so(
    make, drawn, part, monkeypatch
):
    monkeypatch.setattr("aae.plots.tiles.MOST", 5 * 10 * 8 * 8 * 8**2)  # 5 rows of 10 of 8×8, × 8
    model, classes = make("cluster", clusters=12), tuple("abcdefghijkl")
    generator = torch.Generator().manual_seed(0)
    gallery.style(model, part, classes, generator)
    gallery.clusters(model, part, members=9)
    [((styles,), of_styles), ((tiles,), of_clusters)] = drawn["grid"]
    assert of_styles["row_labels"] == ["a", "d", "g", "i", "l"]  # 0, 2.75, 5.5, 8.25, 11
    assert of_styles["title"].endswith("(5 of 12)")
    assert len(styles) == len(tiles) == 50
    assert of_clusters["row_labels"] == ["0", "3", "6", "8", "11"]
    found = inference.encode(model, part.images).y.argmax(1).numpy()
    own = part.images[found == 11][:9] / np.float32(255)
    np.testing.assert_array_equal(tiles[41 : 41 + len(own)], own)


def test_sheets_of_large_pictures_have_fewer_tiles(make, drawn, monkeypatch):
    monkeypatch.setattr("aae.plots.tiles.MOST", 3 * 3 * 8 * 8 * 8**2 - 1)
    model = make()
    gallery.samples(model, (), torch.Generator())
    gallery.manifold(model)
    assert [len(images) for (images,), _ in drawn["grid"]] == [4, 4]


def test_an_embedding_is_drawn_around_its_heads(make, drawn, part):
    model = make("embed", labels=0, clusters=3)
    gallery.latent(model, part, tuple("0123456789"), torch.Generator().manual_seed(0))
    [((points, _), options)] = drawn["latent"]
    codes = inference.encode(model, part.images)
    with torch.no_grad():
        expected = codes.mean + codes.y @ model.decoder.centres
    np.testing.assert_allclose(points, expected, rtol=1e-4, atol=1e-5)
    assert options["limit"] > float(model.decoder.centres.detach().abs().max())


def test_reconstructions_are_of_pictures_of_all_classes(make, drawn, part):
    model, order = make(), np.argsort(part.labels)  # class after class, as folders are read
    part = Part(part.images[order], part.labels[order])
    gallery.reconstructions(model, part, count=30)
    (inputs, outputs), options = drawn["reconstructions"][0]
    some = part.some(30)
    assert set(some.labels) == set(range(10))
    np.testing.assert_allclose(inputs, some.images / 255)
    expected = inference.reconstruct(model, some)
    np.testing.assert_allclose(outputs, expected, atol=1e-6)
    assert options["columns"] == 10


@pytest.mark.parametrize("variant", ["basic", "semi"])
def test_the_seed_chooses_samples_and_styles(make, drawn, part, variant):
    def sheets(seed):
        drawn.clear()
        pictures(make(variant), part, seed=seed)
        return {options["title"]: images for (images,), options in drawn["grid"]}

    first, again, other = sheets(1), sheets(1), sheets(2)
    for title in first:
        assert np.array_equal(first[title], again[title])
        assert np.array_equal(first[title], other[title]) == (title == "The learned manifold")


def test_all_of_a_run(tiny_run, drawn, part, monkeypatch):
    monkeypatch.setattr(gallery, "SIDE", 3)
    figures = gallery.draw(tiny_run, tiny_run.model(), Splits(part, part, part))
    assert figures.keys() == {"latent", "samples", "style", "reconstructions", "learning-curves"}
    (codes, _), _ = drawn["latent"][0]
    assert np.array_equal(codes, inference.encode(tiny_run.model(), part.images).mean)
    of_model = gallery.draw(tiny_run, tiny_run.model(), Splits(part, part, part), whole=False)
    assert of_model.keys() == figures.keys() - {"learning-curves"}


@pytest.mark.parametrize(("count", "columns"), [(1, 1), (2, 2), (4, 2), (5, 3), (100, 10)])
def test_a_sheet_is_about_as_wide_as_it_is_high(count, columns):
    assert gallery.columns_for(count) == columns
    assert columns >= math.ceil(count / columns)
