import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from inference.findings import LABELS, ModelIdentity, NetworkOutput
from inference.image.film import Film
from inference.model.bundle import load_bundle
from inference.model.calibration import OutputCalibration
from inference.model.engine import Engine
from inference.model.operating_points import (
    BadOperatingPoint,
    OperatingSettings,
    at_prevalence,
    operating_points,
    site_calibrations,
)

READING = OutputCalibration(slope=1.2, intercept=-0.4, threshold=0.3, prevalence=0.2)
MASS = LABELS.index("Mass")


@pytest.fixture(scope="module")
def bundle(tiny_bundle):
    return load_bundle(tiny_bundle)


def probability(reading, logit):
    return 1 / (1 + np.exp(-(reading.slope * logit + reading.intercept)))


def test_a_rarer_finding_has_its_odds_lowered_by_the_ratio_of_the_odds_before():
    here = at_prevalence(READING, 0.02)
    logits = np.linspace(-4, 4, 9)
    odds = [probability(one, logits) / (1 - probability(one, logits)) for one in (READING, here)]
    assert np.allclose(odds[1] / odds[0], (0.02 / 0.98) / (0.2 / 0.8))


def test_a_prevalence_changes_what_is_said_and_not_which_films_are_flagged():
    assert at_prevalence(READING, 0.01).decision_logit == pytest.approx(READING.decision_logit)


def test_the_assumed_prevalence_changes_nothing():
    here = at_prevalence(READING, READING.prevalence)
    assert here.intercept == pytest.approx(READING.intercept)
    assert here.threshold == pytest.approx(READING.threshold)


def test_a_finding_that_the_validation_films_lack_can_be_given_a_prevalence():
    here = at_prevalence(READING.model_copy(update={"prevalence": 0.0}), 0.01)
    assert np.isfinite(here.intercept)
    assert 0 < here.threshold < 1


def test_a_sites_threshold_is_on_the_scale_of_its_prevalence(bundle):
    reading = site_calibrations(bundle.calibrations, {"Mass": 0.05}, {"Mass": 0.01})[MASS]
    assert reading.threshold == 0.05
    assert probability(reading, reading.decision_logit) == pytest.approx(0.05)


def test_the_engine_speaks_at_the_sites_prevalence(bundle):
    film = Film(np.random.default_rng(0).random((80, 80), dtype=np.float32))
    with (
        Engine(bundle, device="cpu") as plain,
        Engine(bundle, device="cpu", prevalences={"Mass": 0.001}) as rare,
    ):
        before, here = plain.read(film), rare.read(film)
    assert here.probabilities[MASS] < before.probabilities[MASS]
    assert np.array_equal(here.positive, before.positive)
    assert here.model == before.model  # a setting is no other network
    others = np.arange(14) != MASS
    assert np.array_equal(here.probabilities[others], before.probabilities[others])


@pytest.mark.parametrize("value", [0.0, 1.0, -1.0, float("nan")])
@pytest.mark.parametrize("kind", ["thresholds", "prevalences"])
def test_an_impossible_value_is_refused_by_name(bundle, kind, value):
    given = {"thresholds": {}, "prevalences": {}} | {kind: {"Mass": value}}
    with pytest.raises(BadOperatingPoint, match=rf"{kind[:-1]} .* of Mass"):
        site_calibrations(bundle.calibrations, **given)


def test_an_unknown_finding_is_answered_with_the_nearest(bundle):
    with pytest.raises(BadOperatingPoint, match=r"prevalence .*'Hernai'; did you mean Hernia"):
        site_calibrations(bundle.calibrations, {}, {"Hernai": 0.1})


def test_a_setting_is_applied_to_what_was_said_before_it_as_to_what_is_said_after(bundle):
    film = Film(np.random.default_rng(0).random((80, 80), dtype=np.float32))
    settings = OperatingSettings({"Nodule": 0.3}, {"Mass": 0.001})
    with (
        Engine(bundle, device="cpu") as plain,
        Engine(bundle, "cpu", 16, settings.thresholds, settings.prevalences) as here,
    ):
        said, now = plain.output(film), here.read(film)
    then = operating_points(bundle.calibrations, settings).apply(said)
    for name in ("probabilities", "thresholds", "heatmaps", "positive", "withheld"):
        np.testing.assert_array_equal(getattr(then, name), getattr(now, name))
    assert then.model == now.model == bundle.identity


@given(
    st.floats(-8, 8),
    st.floats(0.001, 0.999),
    st.floats(0.001, 0.999),
    st.sampled_from(["slope", "plain"]),
)
def test_a_finding_is_positive_exactly_where_its_map_reaches_the_decision(
    log_odds, threshold, prevalence, kind
):
    reading = (
        READING
        if kind == "slope"
        else OutputCalibration(slope=1, intercept=0, threshold=0.5, prevalence=0.01)
    )
    settings = OperatingSettings({"Mass": threshold}, {"Mass": prevalence}, maps="all")
    points = operating_points((reading,) * 14, settings)
    margin = log_odds - points.decision_logits[MASS]
    assume(abs(margin) > 1e-9)
    said = NetworkOutput(
        np.full(14, log_odds), np.full((14, 2, 2), log_odds), ModelIdentity("", "", "")
    )
    found = points.apply(said)
    assert found.positive[MASS] == (margin > 0) == found.heatmaps[MASS].any()
