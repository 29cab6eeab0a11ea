"""A prior of the user's own: what it must give, that codes follow it, and a run with it."""

import math

import pytest
import torch
from torch import nn

from aae import inference
from aae.build import build
from aae.evaluate import evaluate
from aae.fit import fit, resume
from aae.metrics import energy_distance
from aae.own_networks import Networks
from aae.priors import Gaussian, Prior, Spots
from aae.run import Run
from aae.run_report import write_report


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


def made(config, networks):
    return build(config, (1, 8, 8), 10, seeded(), networks)


class Ring(Prior):
    """A ring of radius 2 in the plane."""

    dim, limit = 2, 3.5

    def draw(self, n, labels, generator):
        device = generator.device if generator else "cpu"
        turn = 2 * math.pi * torch.rand(n, generator=generator, device=device)
        radius = 2 + 0.3 * torch.randn(n, generator=generator, device=device)
        return radius[:, None] * torch.stack([turn.cos(), turn.sin()], 1)

    def component_log_prob(self, z):
        radius = z.norm(dim=1, keepdim=True)
        log_p = -0.5 * ((radius - 2) / 0.3).square() - math.log(0.3 * math.sqrt(2 * math.pi))
        return log_p - (2 * math.pi * radius).log()


def test_codes_follow_a_prior_of_ones_own(tiny, digits, tmp_path, no_pictures):
    config = tiny(epochs=60, hidden=64, lr=2e-3, generator_weight=3.0)
    run = fit(config, tmp_path / "run", dataset=digits, networks=Networks(prior=Ring()))
    codes = inference.encode(run.model(), digits.test_images).mean
    ring, gaussian = (p.sample(2000, generator=seeded()) for p in (Ring(), Gaussian(2)))
    assert energy_distance(codes, ring) < energy_distance(gaussian, ring) / 2


def test_a_run_needs_its_prior_again(tiny, digits, tmp_path):
    networks = Networks(prior=Ring(), critic=nn.Linear(2, 1))
    run = fit(tiny(epochs=1), tmp_path / "run", dataset=digits, networks=networks)
    with pytest.raises(ValueError, match=r"own critic and prior: open it .* prior=…"):
        Run(run.folder).model()
    again = Run(run.folder, networks)
    assert isinstance(again.model().prior, Ring)
    assert resume(run.folder, dataset=digits, networks=networks).epochs_done == 1
    page = write_report(again, evaluate(again, dataset=digits, judge=False)).read_text()
    assert "2-D, own prior" in page
    assert {"latent.png", "manifold.png"} <= {file.name for file in run.figures.iterdir()}


def test_parts_of_ones_own_prior_are_for_labels(tiny):
    corners = torch.tensor([[x, y] for x in (-2.0, -1, 0, 1, 2) for y in (-1.0, 1)])
    spots = Spots(corners, Gaussian(2, 0.2))
    model = made(tiny(model="labels"), Networks(prior=spots))
    assert model.adversaries["z"].prior is spots
    with pytest.raises(ValueError, match="10 classes but the prior only 1 parts"):
        made(tiny(model="labels"), Networks(prior=Ring()))
    with pytest.raises(ValueError, match="around each class: it has one part itself, not 10"):
        made(tiny(model="embed"), Networks(prior=spots))


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"dim": 3}, "have dim=2, as the code has"),
        ({"limit": -1}, "and a limit above 0"),
        ({"draw": lambda *_: torch.zeros(3)}, r"draw 3 samples as a tensor \[3, 2\]"),
        ({"draw": lambda *_: torch.full((3, 2), math.nan)}, "of finite numbers"),
        ({"draw": lambda *_: 1 / 0}, "fails: ZeroDivisionError: division by zero"),
        ({"component_log_prob": lambda _, z: z[:, 0]}, r"a density for each part, \[3, 1\]"),
        ({"manifold": lambda _, side: torch.zeros(side, 2)}, r"a manifold \[pictures, 4, 2\]"),
    ],
)
def test_a_prior_that_does_not_fit_is_refused(tiny, digits, tmp_path, changes, words):
    odd = type("Odd", (Ring,), changes)()
    with pytest.raises(ValueError, match=f"the prior given .*{words}"):
        fit(tiny(), tmp_path / "run", dataset=digits, networks=Networks(prior=odd))
    assert not (tmp_path / "run").exists()
    with pytest.raises(ValueError, match="the prior given is a str: make a class of aae"):
        made(tiny(), Networks(prior="ring"))
