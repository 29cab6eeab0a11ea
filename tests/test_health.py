"""The verdict on a training."""

import math
import re

import pytest

from aae.config import Config
from aae.health import Check, Measurements, examine, verdict
from aae.hints import flag
from aae.uncertainty import of_share

HEALTHY = {
    "discriminator_accuracy": 0.6,
    "prior_distance": 0.01,
    "prior_distance_error": 0.001,
    "prior_offset": 0.05,
    "code_variances": (0.9, 1.1),
    "class_shares": (0.3, 0.3, 0.4),
    "reconstruction_error": 30.0,
    "mean_image_error": 52.0,
}


def check_of(**measured):
    [check] = examine(Measurements(**measured))
    return check


def test_a_healthy_training_is_fine():
    checks = examine(Measurements(**HEALTHY))
    assert [check.name for check in checks] == [
        "discriminator accuracy",
        "relative prior distance",
        "offset from centre",
        "unused dimensions",
        "balance of classes",
        "relative reconstruction error",
    ]
    assert all(check.ok and check.verdict == "fine" and check.advice == "" for check in checks)
    assert [check.value for check in checks] == pytest.approx([0.6, 0.01, 0.05, 0, 0.9, 30 / 52])
    assert verdict(checks) == "fine"


def test_what_was_not_measured_is_not_checked():
    assert examine(Measurements()) == []
    assert examine(Measurements(reconstruction_error=3.0)) == []
    assert verdict([]) == "check"


# Each case: what differs from a healthy training, the check that must fail, words, overall.
CASES = [
    ({"discriminator_accuracy": 0.96}, "discriminator accuracy", "has won", "check"),
    ({"discriminator_accuracy": 0.94}, "discriminator accuracy", "ahead", "check"),
    ({"discriminator_accuracy": 0.81}, "discriminator accuracy", "ahead", "check"),
    ({"discriminator_accuracy": 0.39}, "discriminator accuracy", "lags behind", "check"),
    ({"prior_distance": 0.05}, "relative prior distance", "loosely", "check"),
    ({"prior_distance": 0.2}, "relative prior distance", "do not match", "check"),
    ({"prior_distance": 0.42}, "relative prior distance", "nowhere near", "collapsed"),
    ({"prior_offset": 0.3}, "offset from centre", "off the prior's centre", "check"),
    ({"prior_offset": 0.99}, "offset from centre", "off the prior's centre", "check"),
    ({"prior_offset": 1.0}, "offset from centre", "off the prior's centre", "collapsed"),
    ({"code_variances": (0.09, 1.0)}, "unused dimensions", "1 of 2 code dimensions is", "check"),
    ({"code_variances": (0.0, 0.0)}, "unused dimensions", "are the same for all examples", "check"),
    ({"code_variances": (0.09, math.nan)}, "unused dimensions", "diverged", "collapsed"),
    ({"class_shares": (0.1, 0.45, 0.45)}, "balance of classes", "0 is too rarely", "check"),
    ({"class_shares": (0.5, 0.5, 0.0)}, "balance of classes", "2 is never", "check"),
    ({"reconstruction_error": 45.0}, "relative reconstruction error", "little better", "check"),
    (
        {"reconstruction_error": 0.94 * 52},
        "relative reconstruction error",
        "little better",
        "check",
    ),
    (
        {"reconstruction_error": 50.0},
        "relative reconstruction error",
        "ignores the code",
        "collapsed",
    ),
    (
        {"reconstruction_error": 90.0},
        "relative reconstruction error",
        "worse than the mean",
        "collapsed",
    ),
]


@pytest.mark.parametrize(("change", "name", "words", "overall"), CASES)
def test_what_is_wrong_is_said(change, name, words, overall):
    checks = examine(Measurements(**HEALTHY | change))
    failing = [check for check in checks if not check.ok]
    assert [check.name for check in failing] == [name]
    assert words in failing[0].verdict
    assert failing[0].advice
    assert failing[0].collapsed == (overall == "collapsed")
    assert verdict(checks) == overall


@pytest.mark.parametrize(
    "change",
    [
        {"discriminator_accuracy": 0.8},
        {"discriminator_accuracy": 0.4},
        {"discriminator_accuracy": 0.5},
        {"prior_distance": 0.0219},  # within two sampling errors of fine
        {"prior_distance": -0.002},  # the estimate is unbiased
        {"prior_offset": 0.29},
        {"code_variances": (0.11, 1.0)},
        {"class_shares": (1 / 6, 1 / 6, 4 / 6)},
        {"reconstruction_error": 41.0},
    ],
)
def test_the_edge_of_fine(change):
    assert verdict(examine(Measurements(**HEALTHY | change))) == "fine"


@pytest.mark.parametrize(
    ("accuracy", "words"), [(0.3462, "lags behind"), (0.85, "well ahead"), (0.96, "has won")]
)
def test_few_guesses_are_not_called_behind_or_ahead_for_chance(accuracy, words):
    unsure, sure = (
        check_of(discriminator_accuracy=accuracy, discriminator_error=of_share(accuracy, count))
        for count in (26, 20_000)
    )
    assert words in sure.verdict
    assert words not in unsure.verdict
    assert unsure.value == accuracy


def test_a_guess_over_unmatched_codes_is_dead_with_any_number_of_codes():
    measured = Measurements(discriminator_accuracy=0.5, discriminator_error=0.1, prior_distance=0.2)
    assert "dead" in examine(measured)[0].verdict


def test_a_discriminator_that_guesses_is_dead_only_where_codes_are_off():
    matched = check_of(discriminator_accuracy=0.5)
    assert matched.ok
    dead, distance = examine(Measurements(discriminator_accuracy=0.5, prior_distance=0.2))
    assert "dead" in dead.verdict
    assert not distance.ok


def test_a_guess_over_codes_that_match_loosely_is_none_of_death():
    assert examine(Measurements(discriminator_accuracy=0.5, prior_distance=0.09))[0].ok
    unsure = {"prior_distance": 0.15, "prior_distance_error": 0.03}
    assert examine(Measurements(discriminator_accuracy=0.5, **unsure))[0].ok


@pytest.mark.parametrize(("accuracy", "ok"), [(0.55, False), (0.56, True)])
def test_a_discriminator_that_sees_something_is_not_dead(accuracy, ok):
    assert examine(Measurements(discriminator_accuracy=accuracy, prior_distance=0.2))[0].ok == ok


def test_a_discriminator_that_won_over_unmatched_codes_is_a_collapse():
    checks = examine(Measurements(discriminator_accuracy=0.99, prior_distance=0.2))
    assert verdict(checks) == "collapsed"
    checks = examine(Measurements(discriminator_accuracy=0.99, prior_distance=0.01))
    assert verdict(checks) == "check"


@pytest.mark.parametrize(
    ("distance", "words"),
    [(0.02, "loosely"), (0.099, "loosely"), (0.1, "do not match"), (0.41, "do not match"),
     (0.415, "nowhere near")],
)  # fmt: skip
def test_how_far_is_far(distance, words):
    assert words in check_of(prior_distance=distance).verdict


@pytest.mark.parametrize(("share", "words"), [(0.024, "never"), (0.026, "too rarely")])
def test_a_tenth_of_its_share_is_next_to_never(share, words):
    shares = (share, *[(1 - share) / 3] * 3)
    assert check_of(class_shares=shares).verdict == f"class 0 is {words} predicted"


@pytest.mark.parametrize(("error", "words"), [(1.04, "ignores the code"), (1.06, "worse than")])
def test_a_little_more_than_the_error_of_the_mean_is_still_the_mean(error, words):
    assert words in check_of(reconstruction_error=error, mean_image_error=1.0).verdict


def test_expected_shares_need_not_be_equal():
    measured = {"class_shares": (0.1, 0.9), "expected_shares": (0.1, 0.9)}
    assert check_of(**measured).value == 1
    measured = {"class_shares": (0.5, 0.5), "expected_shares": (0.0, 1.0)}
    assert check_of(**measured).value == 0.5


def test_a_class_that_few_examples_miss_by_chance_is_not_neglected():
    few, many = (
        check_of(
            class_shares=(0.0, 0.5, 0.5),
            expected_shares=(0.02, 0.49, 0.49),
            class_share_errors=[of_share(share, count) for share in (0.0, 0.5, 0.5)],
        )
        for count in (100, 10_000)
    )
    assert few.ok
    assert few.value == 0
    assert many.verdict == "class 0 is never predicted"


def test_the_class_that_is_named_is_one_that_chance_does_not_explain():
    check = check_of(
        class_shares=(0.0, 0.1, 0.9),
        expected_shares=(0.02, 0.4, 0.58),
        class_share_errors=[of_share(share, 100) for share in (0.0, 0.1, 0.9)],
    )
    assert check.verdict == "class 1 is too rarely predicted"
    assert check.value == 0.25


def test_clusters_may_have_shares_that_differ_but_none_is_empty():
    uneven = check_of(class_shares=(0.1, 0.45, 0.45), of_clusters=True)
    assert uneven.ok
    empty = check_of(
        class_shares=(0.5, 0.5, 0.0), class_share_errors=(0.1, 0.1, 0.1), of_clusters=True
    )
    assert empty.verdict == "cluster 2 has next to no examples"
    assert "--clusters" in empty.advice
    assert "labels" not in empty.advice


def test_advice_without_a_discriminator_does_not_name_its_weights():
    assert "generator" not in check_of(prior_distance=0.2).advice
    with_one = examine(Measurements(discriminator_accuracy=0.7, prior_distance=0.2))[-1]
    assert "--generator-weight" in with_one.advice


@pytest.mark.parametrize("broken", [math.nan, math.inf, -math.inf])
@pytest.mark.parametrize(
    "name", [key for key in HEALTHY if key not in ("class_shares", "code_variances")]
)
def test_what_is_not_finite_fails(name, broken):
    checks = examine(Measurements(**HEALTHY | {name: broken}))
    assert any("not a finite number" in check.verdict for check in checks)
    assert verdict(checks) == "collapsed"


def test_shares_that_are_not_finite_fail():
    check = check_of(class_shares=(0.5, math.nan))
    assert math.isnan(check.value)
    assert check.collapsed


def test_pictures_that_are_all_the_same_cannot_be_judged():
    assert check_of(reconstruction_error=0.1, mean_image_error=0.0).collapsed


def test_advice_names_real_flags():
    flags = {flag(name) for name in Config.__dataclass_fields__}
    trainings = [Measurements(**HEALTHY | change) for change, *_ in CASES]
    trainings += [
        Measurements(discriminator_accuracy=0.5, prior_distance=0.2),
        Measurements(prior_distance=0.2),
        Measurements(prior_offset=math.nan),
    ]
    advice = " ".join(check.advice for training in trainings for check in examine(training))
    named = set(re.findall(r"--[a-z-]+", advice))
    assert len(named) > 8
    assert named <= flags


def test_the_word_for_it_all():
    fine = Check("a", 0.0, "fine", "", ok=True)
    wrong = Check("b", 0.0, "wrong", "do", ok=False)
    ruined = Check("c", 0.0, "ruined", "do", ok=False, collapsed=True)
    assert verdict([fine, fine]) == "fine"
    assert verdict([fine, wrong]) == "check"
    assert verdict([fine, wrong, ruined]) == "collapsed"


def test_few_codes_are_not_called_off_centre_for_chance():
    [sure] = examine(Measurements(prior_offset=0.35))
    [unsure] = examine(Measurements(prior_offset=0.35, prior_offset_error=0.13))
    assert (sure.ok, unsure.ok) == (False, True)
    assert not examine(Measurements(prior_offset=0.6, prior_offset_error=0.13))[0].ok
