"""--prior FILE: codes follow the samples in it, and what was trained needs the file no more."""

import pickle

import numpy as np
import pytest
import torch

import aae
from aae import export, fit, hub, inference
from aae.build import build
from aae.estimators import AdversarialAutoencoder
from aae.evaluate import evaluate
from aae.fit import resume
from aae.kernel_density import KernelDensity
from aae.metrics import energy_distance
from aae.own_networks import SAMPLES, Networks
from aae.priors import Gaussian
from aae.run import Run
from aae.run_report import write_report


def ring(n=1000):
    turn, radius = np.random.default_rng(0).uniform((0, 1.7), (2 * np.pi, 2.3), (n, 2)).T
    return radius[:, None] * np.stack([np.cos(turn), np.sin(turn)], 1)


@pytest.fixture
def file(tmp_path):
    """A file of samples."""
    np.save(tmp_path / "ring.npy", ring())
    return tmp_path / "ring.npy"


@pytest.fixture
def trained(tiny, digits, file, tmp_path, no_pictures):
    """A run whose file of samples is gone."""
    config = tiny(recipe="gaussian", epochs=1, prior=str(file))
    fit.fit(config, tmp_path / "run", dataset=digits)
    file.unlink()
    return Run(tmp_path / "run")


def test_codes_follow_the_samples_of_a_file(tiny, digits, file, tmp_path, no_pictures):
    config = tiny(epochs=60, hidden=64, lr=2e-3, generator_weight=3.0, prior=str(file))
    run = fit.fit(config, tmp_path / "run", dataset=digits)
    codes = inference.encode(run.model(), digits.test_images).mean
    gaussian = Gaussian(2).sample(1000, generator=torch.Generator().manual_seed(0))
    wanted = torch.tensor(ring(), dtype=torch.float32)
    assert energy_distance(codes, wanted) < energy_distance(gaussian, wanted) / 2


def test_a_run_needs_the_file_no_more(trained, digits):
    model = trained.model()
    assert torch.equal(model.prior.points, torch.tensor(ring(), dtype=torch.float32))
    assert resume(trained.folder, dataset=digits).epochs_done == 1
    page = write_report(trained, evaluate(trained, dataset=digits, judge=False)).read_text()
    assert "2-D, ring prior" in page
    assert f"--prior {trained.config.prior}" in page


def test_a_report_tells_of_samples_given_in_python(tiny, digits, tmp_path, no_pictures):
    own = Networks(prior=KernelDensity(ring()))
    fit.fit(tiny(recipe="gaussian", epochs=1), tmp_path / "run", dataset=digits, networks=own)
    run = Run(tmp_path / "run")
    page = write_report(run, evaluate(run, dataset=digits, judge=False)).read_text()
    assert "2-D, own prior" in page
    assert "Trained with its own prior: aae.fit.fit(…, networks=…) in Python" in page


def test_what_goes_to_strangers_names_no_folder(trained, tmp_path):
    told = export.about(trained, trained.model())
    assert told["prior"] == "ring"
    assert str(tmp_path) not in str(told)
    (made := tmp_path / "shared").mkdir()
    hub.Shared(trained)._save_pretrained(made)
    assert str(tmp_path) not in (made / "config.json").read_text()
    assert Run(made).model().prior.counts == [1000]


def test_labels_beside_the_file_are_its_parts(tiny, file, tmp_path):
    labels = np.arange(1000) % 10
    np.save(tmp_path / "ring.labels.npy", labels)
    model = build(
        tiny(model="labels", prior=str(file)), (1, 8, 8), 10, torch.Generator().manual_seed(0)
    )
    assert model.prior.counts == [100] * 10
    np.save(tmp_path / "ring.labels.npy", labels // 2)
    with pytest.raises(ValueError, match="10 classes but the prior only 5 parts"):
        build(tiny(model="labels", prior=str(file)), (1, 8, 8), 10, torch.Generator())


@pytest.mark.parametrize("model", ["vae", "semi", "embed", "cluster"])
def test_every_variant_takes_it(tiny, file, model):
    made = build(tiny(model=model, prior=str(file)), (1, 8, 8), 10, torch.Generator())
    assert isinstance(made.prior, KernelDensity)


@pytest.mark.parametrize(
    ("name", "latent_dim", "words"),
    [
        ("none.npy", 2, "--prior .*none.npy: there is no such file"),
        ("ring.npy", 3, "samples of 2 numbers, and the code has 3: take --latent-dim 2"),
        ("text.npy", 2, "text.npy is no .npy file of numbers"),
        ("flat.npy", 2, r"--prior .*flat.npy: samples .* numbers \[samples, dimensions\]"),
    ],
)
def test_a_file_of_no_samples_is_refused(tiny, digits, file, tmp_path, name, latent_dim, words):
    (tmp_path / "text.npy").write_text("1 2\n3 4\n")
    np.save(tmp_path / "flat.npy", np.zeros(9))
    config = tiny(prior=str(tmp_path / name), latent_dim=latent_dim)
    with pytest.raises(ValueError, match=words):
        fit.fit(config, tmp_path / "run", dataset=digits)
    assert not (tmp_path / "run").exists()


def test_a_prior_is_one_that_is_known_or_a_file(tiny):
    with pytest.raises(ValueError, match=r"'gausian'; did you mean 'gaussian'\? .*, or a \.npy"):
        tiny(prior="gausian")


def test_other_processes_are_sent_the_samples(trained, tmp_path):
    sent = []

    class First:
        size, rank = 2, 0

        def same(self, content):
            sent.append(content)
            return content

    class Second(First):
        rank = 1

        def same(self, content):
            return sent.pop(0)

    fit._send(trained.folder, First())
    fit._send(tmp_path / "second", Second())
    assert Run(tmp_path / "second").model().prior.counts == [1000]


def test_an_estimator_s_folder_keeps_samples_given_in_python(digits, tmp_path):
    points = ring(200)
    own = Networks(prior=KernelDensity(points, bandwidth=0.2))
    estimator = AdversarialAutoencoder(2, networks=own, n_epochs=1, random_state=0)
    estimator.fit(digits.train_images[:100])
    drawn = estimator.sample(5)
    again = aae.load(estimator.save(tmp_path / "saved"))
    assert again._networks.prior.bandwidth == 0.2
    np.testing.assert_allclose(again.sample(5), drawn, atol=1e-5)
    # What is given at opening does not change what it was trained with.
    given = Networks(prior=KernelDensity(points + 1))
    assert aae.load(tmp_path / "saved", given)._networks.prior.bandwidth == 0.2
    (tmp_path / "saved" / SAMPLES).write_bytes(b"other")
    with pytest.raises(ValueError, match=f"{SAMPLES} is none that aae wrote"):
        aae.load(tmp_path / "saved")


def test_a_run_as_an_estimator_has_its_samples(trained, digits, tmp_path):
    estimator = aae.load(trained.folder)
    assert estimator.set_params(n_epochs=1).fit(digits.train_images[:100]) is estimator
    assert estimator.model_.prior.counts == [1000]
    estimator.save(tmp_path / "again")
    assert Run(tmp_path / "again").model().prior.counts == [1000]
    copy = pickle.loads(pickle.dumps(estimator))
    assert torch.equal(copy.model_.prior.points, estimator.model_.prior.points)


def test_an_estimator_takes_samples_but_no_file(digits, file):
    estimator = AdversarialAutoencoder(2, options={"prior": str(file)})
    with pytest.raises(ValueError, match=r"takes samples as networks=Networks\(prior=Kernel"):
        estimator.fit(digits.train_images[:100])


def test_a_run_whose_samples_are_lost_says_so(trained):
    (trained.folder / SAMPLES).unlink()
    with pytest.raises(ValueError, match=f"lacks {SAMPLES}, the samples of its prior: bring it"):
        Run(trained.folder)


def test_samples_do_not_replace_what_a_run_was_trained_with(tiny_run):
    with pytest.raises(ValueError, match="was not trained with a prior of samples"):
        Run(tiny_run.folder, Networks(prior=KernelDensity(ring())))


@pytest.mark.parametrize(
    ("scale", "offset", "words"),
    [
        (0.1, 0, "a standard deviation of 0.142 and a mean of up to 0.0"),
        (5, 0, r"a standard deviation of 7\.08 and a mean of"),
        (
            1,
            2,
            r"1\.42 and a mean of up to 2\.\d+, and codes begin about 0 at about 1: standardise",
        ),
    ],
)
def test_samples_far_from_where_codes_begin_are_refused(
    tiny, digits, tmp_path, scale, offset, words
):
    own = Networks(prior=KernelDensity(scale * ring() + offset))
    with pytest.raises(ValueError, match=words):
        fit.fit(tiny(), tmp_path / "run", dataset=digits, networks=own)
    assert not (tmp_path / "run").exists()
