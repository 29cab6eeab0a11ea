"""The regions of the prior behind the codes: the smallest that hold 39, 86 and 99 % of its mass."""

import numpy as np
import pytest
import torch

from aae.explorer.content import _prior
from aae.priors import Gaussian, Mixture, Spots, Uniform

HELD = """async ([about, { prior, pair }, dim, plane, fresh]) => {
  const { densityOver } = await import("./density.js"), { Plane } = await import("./plane.js");
  const [codes, samples, exact] = [fresh, prior, pair ?? []].map((each) => Float32Array.from(each));
  const data = { about, dim, codes, prior: samples, pair: pair && exact };
  const shown = new Plane(data);
  shown.show(...plane);
  const { grid, side, reach, edges } = densityOver(shown, data);
  const cell = (value) => Math.round((value / reach + 1) / 2 * (side - 1));
  return [...edges].map((edge) => {
    let held = 0;
    shown.xs.forEach((x, i) => { held += grid[cell(shown.ys[i]) * side + cell(x)] >= edge; });
    return held / shown.xs.length;
  });
}"""


def held(seen, prior, plane):
    """The shares of codes from the prior that the page's regions of it hold in a plane."""
    shown = _prior(prior, seed=0)
    arrays = {name: array.ravel().tolist() for name, array in shown.arrays.items()}
    fresh = prior.sample(20_000, generator=torch.Generator().manual_seed(1))
    oblique = np.zeros((2, prior.dim))
    oblique[:, :2] = (0.6, 0.8), (-0.8, 0.6)
    about = {**shown.about, "limit": prior.limit, "axes": oblique.tolist()}
    given = [about, arrays, prior.dim, plane, fresh.flatten().tolist()]
    return seen.page.evaluate(HELD, given)


@pytest.mark.parametrize("plane", [(0, 1), (3, 2), (0, 2), (3, 1), ("pca", 0)])
def test_regions_of_a_mixture_hold_their_shares(visit, semi, plane):
    assert held(visit(semi), Mixture(4), plane) == pytest.approx([0.989, 0.865, 0.393], abs=0.03)


def test_regions_of_spots_hold_their_shares(visit, semi):
    spots = Spots(4 * torch.eye(3), Gaussian(3))
    assert held(visit(semi), spots, (0, 1)) == pytest.approx([0.989, 0.865, 0.393], abs=0.03)


@pytest.mark.parametrize("plane", [(0, 1), (2, 0)])
def test_a_cube_is_as_likely_everywhere_on_its_faces(visit, semi, plane):
    [share] = held(visit(semi), Uniform(3), plane)
    assert share > 0.98


@pytest.mark.parametrize("prior", [Gaussian(1), Uniform(1)])
def test_a_prior_of_one_dimension_is_the_same_at_every_height(prior):
    shown = _prior(prior, seed=0)
    grid = shown.arrays["prior"]
    assert shown.about["planar"]
    assert (grid == grid[0]).all()
    line = torch.linspace(-prior.limit, prior.limit, len(grid))[:, None]
    expected = (prior.log_prob(line) - prior.log_prob(torch.zeros(1, 1))).exp()
    assert np.allclose(grid[0], expected, atol=1e-6)
