"""Is a training healthy? Measured numbers in, words and advice out.

Thresholds are stated once, below, each with its reason. Advice names flags of `aae train`.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

DISCRIMINATOR_BEHIND, DISCRIMINATOR_BLIND = 0.4, 0.55
DISCRIMINATOR_AHEAD, DISCRIMINATOR_WON = 0.8, 0.95
"""Accuracy: 0.5 is guessing, which is what a perfect match of codes and prior leads to. To be
behind, ahead or to have won, it must be so beyond two sampling errors. One that is blind to codes
off the prior looks like a guess with any number of codes, so there nothing is subtracted."""
DISTANCE_FINE, DISTANCE_LOOSE, DISTANCE_LOST = 0.02, 0.1, math.sqrt(2) - 1
"""Energy distance over the prior's mean pairwise distance. For a Gaussian prior, in any number of
dimensions, codes s times as wide give √(2 + 2s²) - 1 - s: 0.02 is a width of 0.74 or 1.3, 0.1 one
of 0.46 or 1.7, and √2 - 1 is all codes in one point at the prior's centre. The distance shows where
codes are, not small gaps between them."""
OFFSET_FINE, OFFSET_LOST = 0.3, 1.0
"""Offset of the codes' mean in standard deviations of the prior, beyond two sampling errors: with
few codes, chance alone gives that much."""
BALANCE_FINE, BALANCE_LOST = 0.5, 0.1
"""Predicted share of the most neglected class over its expected share. A class is neglected only if
two sampling errors more would be too little, too. For clusters only the second threshold counts, as
their shares may differ, and nothing is added: an empty one is empty."""
UNUSED = 0.1
"""Variance of a code dimension's mean over the prior's, below which it says next to nothing about
the example: for a Gaussian, 0.08 bits. On MNIST, codes of two and of ten dimensions have 0.93 and
more in each."""
RECONSTRUCTION_FINE, RECONSTRUCTION_LOST, RECONSTRUCTION_WORSE = 0.8, 0.95, 1.05
"""Reconstruction error over the error of the mean image, which needs no code. On MNIST, in half the
squared error summed over pixels in [-1, 1], the mean image has 106; codes of two dimensions get to
70 within a few epochs, a ratio of 0.66; the reference program's collapsed run had 101, or 0.955."""


@dataclass(frozen=True, kw_only=True)
class Measurements:
    """What was measured on a trained model; None where it does not apply.

    Attributes:
        discriminator_accuracy: share that the discriminator gets right on equal numbers of prior
            samples and codes.
        discriminator_error: its sampling error.
        prior_distance: energy distance between codes and prior over the prior's mean pairwise
            distance (`metrics.PriorDistance.relative`).
        prior_distance_error: its sampling error, in the same units.
        prior_offset: distance of the codes' mean from the prior's in the dimension where it is
            largest, in the prior's standard deviations (`metrics.PriorDistance.offset`).
        prior_offset_error: its sampling error, in the same units.
        code_variances: for each code dimension, the variance of its mean over pictures, over the
            prior's variance.
        class_shares: share of the pictures predicted to be of each class.
        class_share_errors: the sampling error of each share.
        expected_shares: the shares that the classes should have; by default all the same.
        of_clusters: whether the classes are clusters, which the model found itself.
        reconstruction_error: error on pictures that were not trained on.
        mean_image_error: error of the mean training picture on the same pictures, in the same
            units.
    """

    discriminator_accuracy: float | None = None
    discriminator_error: float = 0.0
    prior_distance: float | None = None
    prior_distance_error: float = 0.0
    prior_offset: float | None = None
    prior_offset_error: float = 0.0
    code_variances: Sequence[float] | None = None
    class_shares: Sequence[float] | None = None
    class_share_errors: Sequence[float] | None = None
    expected_shares: Sequence[float] | None = None
    of_clusters: bool = False
    reconstruction_error: float | None = None
    mean_image_error: float | None = None


@dataclass(frozen=True)
class Check:
    """One number, what it says, and what to try.

    Attributes:
        name: what was measured.
        value: the number.
        verdict: "fine", or what is wrong.
        advice: what to try; empty where all is fine.
        ok: whether it is fine.
        collapsed: whether this alone makes the training worthless.
    """

    name: str
    value: float
    verdict: str
    advice: str
    ok: bool
    collapsed: bool = False


def examine(measured: Measurements) -> list[Check]:
    """A check for each thing that was measured, in a fixed order.

    Examples:
        >>> [check] = examine(Measurements(discriminator_accuracy=0.97))
        >>> check.verdict
        'the discriminator has won: codes and prior can be told apart'
        >>> verdict([check])
        'check'
    """
    checks = [
        _discriminator(measured),
        _prior_distance(measured),
        _prior_offset(measured),
        _unused(measured),
        _balance(measured),
        _reconstruction(measured),
    ]
    return [check for check in checks if check is not None]


def verdict(checks: Sequence[Check]) -> Literal["fine", "check", "collapsed"]:
    """The word for a whole training.

    - "collapsed": a check says so. That is: a value is not finite; codes lie no nearer to the prior
      than a single point would, or are off its centre by more than a standard deviation; the
      discriminator has won while the codes do not match the prior; or the decoder is no better
      than the training set's mean.
    - "check": not collapsed, but a check is not fine, or there is none.
    - "fine": all checks are fine.
    """
    if any(check.collapsed for check in checks):
        return "collapsed"
    return "fine" if checks and all(check.ok for check in checks) else "check"


def _discriminator(measured: Measurements) -> Check | None:
    name, value = "discriminator accuracy", measured.discriminator_accuracy
    if value is None:
        return None
    if not math.isfinite(value):
        return _not_finite(name, value)
    unmatched = _distance_beyond_chance(measured) >= DISTANCE_LOOSE
    chance = 2 * measured.discriminator_error
    if value - chance > DISCRIMINATOR_WON:
        return Check(
            name,
            value,
            "the discriminator has won: codes and prior can be told apart",
            "raise --generator-weight or lower --discriminator-weight; lower --lr; "
            "--posterior gaussian or --noise-std 0.3 blur the codes, which helps the encoder",
            ok=False,
            collapsed=unmatched,
        )
    if value - chance > DISCRIMINATOR_AHEAD:
        return Check(
            name,
            value,
            "the discriminator is well ahead of the encoder",
            "train on (--epochs); if it stays so, raise --generator-weight or lower --lr",
            ok=False,
        )
    if value <= DISCRIMINATOR_BLIND and unmatched:
        return Check(
            name,
            value,
            "the discriminator is dead: codes are off the prior, and it does not see it",
            "let it learn faster than the encoder (--lr 2e-4 --adversarial-lr 2e-3), or lower "
            "--generator-weight; try --step alternating",
            ok=False,
        )
    if value + chance < DISCRIMINATOR_BEHIND:
        return Check(
            name,
            value,
            "the discriminator takes codes for the prior and the prior for codes: it lags behind",
            "lower --lr, with --adversarial-lr above it, or lower --generator-weight",
            ok=False,
        )
    return _fine(name, value)


def _prior_distance(measured: Measurements) -> Check | None:
    name, value = "relative prior distance", measured.prior_distance
    if value is None:
        return None
    beyond_chance = _distance_beyond_chance(measured)
    if not math.isfinite(beyond_chance):
        return _not_finite(name, value)
    if beyond_chance < DISTANCE_FINE:
        return _fine(name, value)
    # Only adversarial models have a discriminator, and the weights that go with one.
    if measured.discriminator_accuracy is None:
        advice = "train longer (--epochs) or lower --reconstruction-weight"
    else:
        advice = "train longer (--epochs) or raise --generator-weight"
    if beyond_chance < DISTANCE_LOOSE:
        return Check(name, value, "codes match the prior loosely", advice, ok=False)
    if beyond_chance < DISTANCE_LOST:
        said = "codes do not match the prior: samples of it will not all decode well"
        return Check(name, value, said, advice + "; try another --lr", ok=False)
    said = "codes are nowhere near the prior, or all in one place: samples of it are worthless"
    return Check(name, value, said, advice + "; lower --lr", ok=False, collapsed=True)


def _prior_offset(measured: Measurements) -> Check | None:
    name, value = "offset from centre", measured.prior_offset
    if value is None:
        return None
    beyond_chance = value - 2 * measured.prior_offset_error
    if not math.isfinite(beyond_chance):
        return _not_finite(name, value)
    if beyond_chance < OFFSET_FINE:
        return _fine(name, value)
    return Check(
        name,
        value,
        "codes are off the prior's centre",
        "start at the centre (--init centred), lower --lr, or train longer (--epochs)",
        ok=False,
        collapsed=beyond_chance >= OFFSET_LOST,
    )


def _unused(measured: Measurements) -> Check | None:
    name, variances = "unused dimensions", measured.code_variances
    if variances is None:
        return None
    if not all(math.isfinite(variance) for variance in variances):
        return _not_finite(name, math.nan)
    count = sum(variance < UNUSED for variance in variances)
    if not count:
        return _fine(name, 0.0)
    return Check(
        name,
        count,
        f"{count} of {len(variances)} code dimensions {'is' if count == 1 else 'are'} the same for "
        "all examples",
        "lower --generator-weight, take --posterior deterministic, or train longer (--epochs); "
        "where reconstructions are good, a smaller --latent-dim does",
        ok=False,
    )


def _balance(measured: Measurements) -> Check | None:
    name, shares = "balance of classes", measured.class_shares
    if shares is None:
        return None
    expected = measured.expected_shares or [1 / len(shares)] * len(shares)
    errors = measured.class_share_errors or [0.0] * len(shares)
    if measured.of_clusters:
        errors = [0.0] * len(shares)
    if not all(math.isfinite(share) for share in shares):
        return _not_finite(name, math.nan)
    most = [  # of its expected share, that a class may have but for chance
        (share + 2 * error) / should if should else math.inf
        for share, error, should in zip(shares, errors, expected, strict=True)
    ]
    scarcest = most.index(min(most))
    value = shares[scarcest] / expected[scarcest]
    if most[scarcest] >= (BALANCE_LOST if measured.of_clusters else BALANCE_FINE):
        return _fine(name, value)
    if measured.of_clusters:
        said = f"cluster {scarcest} has next to no examples"
        return Check(name, value, said, "raise --balance-weight, or lower --clusters", ok=False)
    rarely = "never" if value < BALANCE_LOST else "too rarely"
    return Check(
        name,
        value,
        f"class {scarcest} is {rarely} predicted",
        "raise --y-generator-weight or --classification-weight, or use more --labels",
        ok=False,
    )


def _reconstruction(measured: Measurements) -> Check | None:
    name = "relative reconstruction error"
    error, of_mean_image = measured.reconstruction_error, measured.mean_image_error
    if error is None or of_mean_image is None:
        return None
    value = error / of_mean_image if 0 < of_mean_image < math.inf else math.nan
    if not math.isfinite(value):
        return _not_finite(name, value)
    if value < RECONSTRUCTION_FINE:
        return _fine(name, value)
    if value < RECONSTRUCTION_LOST:
        return Check(
            name,
            value,
            "reconstructions are little better than the mean",
            "train longer (--epochs), lower --generator-weight or --noise-std, "
            "or give the code more room (--latent-dim)",
            ok=False,
        )
    if value > RECONSTRUCTION_WORSE:
        return Check(
            name,
            value,
            "reconstructions are worse than the mean: hardly trained, or diverged",
            "train longer (--epochs), or lower --lr",
            ok=False,
            collapsed=True,
        )
    return Check(
        name,
        value,
        "the decoder ignores the code: all that it gives is the mean",
        "lower --lr, --generator-weight and --discriminator-weight; train longer (--epochs)",
        ok=False,
        collapsed=True,
    )


def _distance_beyond_chance(measured: Measurements) -> float:
    """The prior distance less two sampling errors; 0 where it was not measured."""
    if measured.prior_distance is None:
        return 0.0
    return measured.prior_distance - 2 * measured.prior_distance_error


def _fine(name: str, value: float) -> Check:
    return Check(name, value, "fine", "", ok=True)


def _not_finite(name: str, value: float) -> Check:
    said = "not a finite number: the training has diverged"
    advice = "lower --lr and --generator-weight, or take --precision float32"
    return Check(name, value, said, advice, ok=False, collapsed=True)
