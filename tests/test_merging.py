"""Which clusters are merged, and what a model names, decodes and keeps once they are."""

import itertools

import numpy as np
import onnxruntime
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given
from hypothesis import strategies as st
from safetensors.torch import load_file
from sklearn.metrics import mutual_info_score

from aae import inference
from aae.cli import main
from aae.codes import Codes
from aae.estimators import AdversarialClustering
from aae.export import export
from aae.fit import fit
from aae.merging import Clusters, MergedClusters, _lost, _rows, merge
from aae.run import Run
from aae.splits import Part
from aae.warps import warp


def of_draws(y):
    """How often two draws of rows of probabilities are i and j."""
    return (y.mT @ y).double()


def counts(n, seed):
    """How often two looks find i and j, whole numbers."""
    half = torch.randint(0, 10**6, (n, n), generator=torch.Generator().manual_seed(seed))
    return half + half.T + 1


def joined(of, a, b):
    """Counts where b has become part of a."""
    names = [a if i == b else i for i in range(len(of))]
    one_hot = F.one_hot(torch.tensor(names), len(of))
    rest = [i for i in range(len(of)) if i != b]
    return (one_hot.T @ of @ one_hot)[rest][:, rest]


def information(of):
    return mutual_info_score(None, None, contingency=of.numpy())


@given(st.integers(2, 6), st.integers(0, 10**6))
def test_what_is_lost_is_mutual_information(n, seed):
    of = counts(n, seed)
    p = of.double() / of.sum()
    lost = _lost(p, _rows(p))
    for a, b in itertools.combinations(range(n), 2):
        expected = information(of) - information(joined(of, a, b))
        assert float(lost[a, b]) == pytest.approx(expected, abs=1e-12)


@given(st.integers(3, 9), st.integers(0, 10**6))
def test_the_two_that_lose_least_are_merged_each_time(n, seed):
    of, names = counts(n, seed), torch.arange(n)
    for left in range(n - 1, 0, -1):
        pairs = itertools.combinations(range(len(of)), 2)
        a, b = max(pairs, key=lambda pair: information(joined(of, *pair)))
        names = torch.where(names == b, a, names - (names > b).long())
        of = joined(of, a, b)
        assert merge(counts(n, seed), left).tolist() == names.tolist()


def test_those_that_share_pictures_are_merged():
    shared = torch.tensor([[0.6, 0, 0.4, 0, 0], [0, 0.7, 0, 0, 0.3], [0.3, 0, 0.7, 0, 0],
                           [0, 0, 0, 1, 0], [0, 0.2, 0, 0, 0.8]])  # fmt: skip
    assert merge(of_draws(shared), 3).tolist() == [0, 1, 0, 2, 1]
    assert merge(of_draws(shared), 5).tolist() == [0, 1, 2, 3, 4]
    assert merge(of_draws(shared), 1).tolist() == [0] * 5


def test_one_without_pictures_goes_first():
    shared = torch.tensor([[0.9, 0.1, 0], [0.1, 0.9, 0]])
    first, second, none = merge(of_draws(shared), 2).tolist()
    assert first != second
    assert none in (first, second)


def test_what_is_not_merged_stays():
    codes = Codes(torch.zeros(3, 2), torch.zeros(3, 2), None, torch.randn(3, 4))
    clusters = Clusters(4)
    assert clusters.named(codes) is codes
    y = codes.y
    assert clusters.told(y) is y
    assert not clusters.state_dict()


@pytest.fixture
def merged():
    """Three clusters of five: the first and the third are one, and so are the second and fifth."""
    clusters = MergedClusters(3, 5)
    y = torch.tensor([[0.6, 0, 0.4, 0, 0], [0, 0.7, 0, 0, 0.3], [0.2, 0, 0.8, 0, 0],
                      [0, 0, 0, 1, 0], [0, 0.4, 0, 0, 0.6]])  # fmt: skip
    clusters.settle(lambda some: some, (y[:2], y[2:]))
    return clusters


def two_looks(first, second, count):
    """Clusters merged by what pictures are found to be at a first look, and at a second one."""
    found = max(*first, *second) + 1
    here, there = (F.one_hot(torch.tensor(look), found).float() for look in (first, second))
    clusters = MergedClusters(count, found, lambda x, *, generator: there)
    clusters.settle(lambda some: some, [here])
    return clusters


def test_those_are_merged_between_which_two_looks_change():
    # The first two change places half of the time; the last two are rare, and never do.
    clusters = two_looks([0, 0, 1, 1] * 3 + [2, 3], [0, 1, 0, 1] * 3 + [2, 3], 3)
    assert clusters.cluster_of.tolist() == [0, 0, 1, 2]


def test_the_part_found_most_often_is_that_of_both_looks():
    # At the first look the first part is found more often, by both together the third.
    clusters = two_looks([0, 0, 0, 2, 2] + [1] * 5, [2, 2, 2, 2, 2] + [1] * 5, 2)
    assert clusters.cluster_of.tolist() == [0, 1, 0]
    assert clusters.typical.tolist() == [2, 1]


def test_the_part_found_most_often_need_not_be_the_one_found_twice():
    # The first is found at 8 looks of 20, at both in one picture; the second at 6, in three.
    looks = [0] + [0] * 3 + [2] * 3 + [1] * 2 + [1], [0] + [2] * 3 + [0] * 3 + [1] * 2 + [1]
    clusters = two_looks(*looks, 1)
    assert clusters.typical.tolist() == [0]


def test_a_cluster_is_as_probable_as_its_parts(merged):
    found = torch.tensor([[0.1, 0.2, 0.3, 0.4, 0], [0, 0, 0, 0, 1]])
    codes = merged.named(Codes(torch.zeros(2, 2), torch.zeros(2, 2), None, found.log()))
    torch.testing.assert_close(codes.y, torch.tensor([[0.4, 0.2, 0.4], [0, 1, 0]]))
    torch.testing.assert_close(codes.found, found)
    assert codes.y_logits.isfinite().all()


def test_the_decoder_is_told_the_part_found_most_often(merged):
    assert merged.told(torch.eye(3)).argmax(1).tolist() == [2, 1, 3]


def test_enough_pictures_are_enough(monkeypatch):
    monkeypatch.setattr("aae.merging.ENOUGH", 4)
    taken = []

    def pictures():
        for number in range(9):
            taken.append(number)
            yield torch.eye(3)

    MergedClusters(2, 3).settle(lambda y: y, pictures())
    assert taken == [0, 1]


@pytest.mark.parametrize("model", ["cluster", "embed"])
@pytest.mark.parametrize("step", ["joint", "alternating"])
def test_a_training_merges_what_it_found(tiny, digits, tmp_path, no_pictures, model, step):
    config = tiny(model=model, labels=0, clusters=4, merged_from=9, step=step)
    model = fit(config, tmp_path / "run", dataset=digits).model()
    assert sorted(set(model.clusters.cluster_of.tolist())) == [0, 1, 2, 3]
    codes = inference.encode(model, digits.test_images)
    assert codes.y.shape == (360, 4)
    assert codes.found.shape == (360, 9)
    # The training itself is that of the same clusters without a merger.
    alone = fit(
        tiny(model=config.model, labels=0, clusters=9, step=step), tmp_path / "alone",
        dataset=digits,
    )  # fmt: skip
    found = inference.encode(alone.model(), digits.test_images)
    torch.testing.assert_close(codes.found, found.y)
    part = Part(digits.test_images, digits.test_labels)
    own, theirs = (inference.reconstruct(each, part) for each in (model, alone.model()))
    torch.testing.assert_close(own, theirs)


def test_an_exported_decoder_is_told_clusters(tiny, digits, tmp_path, no_pictures):
    run = fit(tiny(model="merged", clusters=6), tmp_path / "run", dataset=digits)
    model = run.model()
    files = {path.stem: path for path in export(run, tmp_path / "out")}
    z, y = torch.randn(6, 2), torch.eye(6)
    [x] = onnxruntime.InferenceSession(files["decoder"]).run(None, {"z": z.numpy(), "y": y.numpy()})
    np.testing.assert_allclose(x, inference.decode(model, z, torch.arange(6)), atol=1e-4)


def test_exported_weights_say_which_were_merged(tiny, digits, tmp_path, no_pictures):
    run = fit(tiny(model="merged"), tmp_path / "run", dataset=digits)
    files = {path.stem: path for path in export(run, tmp_path / "out", "safetensors")}
    told = load_file(files["clusters"])
    own = run.model().clusters.state_dict()
    assert told.keys() == own.keys() == {"cluster_of", "typical"}
    assert all(torch.equal(told[name], own[name]) for name in told)


def test_the_command_line_names_clusters_that_are_left(tiny, digits, tmp_path, no_pictures):
    run = fit(tiny(model="merged"), tmp_path / "run", dataset=digits)
    out = tmp_path / "clusters.csv"
    assert main(["predict", str(run.folder), "digits", "--out", str(out)]) == 0
    named = np.loadtxt(out, delimiter=",", skiprows=1)
    y = inference.encode(run.model(), digits.test_images).y
    np.testing.assert_array_equal(named[:, 1], y.argmax(1))
    np.testing.assert_allclose(named[:, 2], y.amax(1), atol=1e-6)


def test_an_estimator_finds_finer_clusters_first(tmp_path):
    rows = np.random.default_rng(0).normal(size=(90, 3)).astype(np.float32)
    estimator = AdversarialClustering(3, merged_from=7, hidden=8, n_epochs=2, random_state=0).fit(
        rows
    )
    assert estimator.predict_proba(rows).shape == (90, 3)
    assert estimator.predict_proba(rows).sum(1) == pytest.approx(1, abs=1e-5)
    estimator.save(tmp_path / "kept")
    again = type(estimator).load(tmp_path / "kept")
    np.testing.assert_array_equal(again.predict(rows), estimator.labels_)
    assert Run(tmp_path / "kept").config.merged_from == 7


def test_a_second_look_is_warped_where_warps_do_not_matter(tiny, new_model):
    x = torch.rand(20, 1, 8, 8)
    seen = []

    def shown(**changes):
        model = new_model(tiny(model="merged", **changes))
        model.encoder.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0]))
        model.settle([x])
        first, *others = seen
        torch.testing.assert_close(first, x)
        seen.clear()
        return others

    assert shown() == []  # a second look would be the same
    expected = warp(x, 1.5, torch.Generator().manual_seed(0))
    [second] = shown(warp_weight=1.0, warp_size=1.5)
    torch.testing.assert_close(second, expected)
