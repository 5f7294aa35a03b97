import numpy as np
import pytest

from inference.bundle import load_bundle
from inference.engine import Engine
from inference.film import Film
from inference.findings import LABELS
from inference.operating_points import (
    BadOperatingPoint,
    at_prevalence,
    site_identity,
    site_readings,
)
from inference.readings import Reading

READING = Reading(slope=1.2, intercept=-0.4, threshold=0.3, prevalence=0.2)
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
    assert at_prevalence(READING, 0.01).decision == pytest.approx(READING.decision)


def test_the_assumed_prevalence_changes_nothing():
    here = at_prevalence(READING, READING.prevalence)
    assert here.intercept == pytest.approx(READING.intercept)
    assert here.threshold == pytest.approx(READING.threshold)


def test_a_finding_that_the_validation_films_lack_can_be_given_a_prevalence():
    here = at_prevalence(READING.model_copy(update={"prevalence": 0.0}), 0.01)
    assert np.isfinite(here.intercept)
    assert 0 < here.threshold < 1


def test_a_sites_threshold_is_on_the_scale_of_its_prevalence(bundle):
    reading = site_readings(bundle, {"Mass": 0.05}, {"Mass": 0.01})[MASS]
    assert reading.threshold == 0.05
    assert probability(reading, reading.decision) == pytest.approx(0.05)


def test_probabilities_for_other_prevalences_are_another_voice(bundle):
    # or a change of settings would look like a change of the patient
    assert site_identity(bundle, {}) == bundle.identity
    first, second = (site_identity(bundle, {"Mass": value}) for value in (0.01, 0.02))
    assert len({bundle.identity, first, second}) == 3
    assert first.sha256 == bundle.identity.sha256
    assert site_identity(bundle, {"Mass": 0.01, "Hernia": 0.02}) == site_identity(
        bundle, {"Hernia": 0.02, "Mass": 0.01}
    )


def test_the_engine_speaks_at_the_sites_prevalence(bundle):
    film = Film(np.random.default_rng(0).random((80, 80), dtype=np.float32))
    with (
        Engine(bundle, device="cpu") as plain,
        Engine(bundle, device="cpu", prevalences={"Mass": 0.001}) as rare,
    ):
        before, here = plain.read(film), rare.read(film)
    assert here.probabilities[MASS] < before.probabilities[MASS]
    assert np.array_equal(here.positive, before.positive)
    assert here.model != before.model
    others = np.arange(14) != MASS
    assert np.array_equal(here.probabilities[others], before.probabilities[others])


@pytest.mark.parametrize("value", [0.0, 1.0, -1.0, float("nan")])
@pytest.mark.parametrize("kind", ["thresholds", "prevalences"])
def test_an_impossible_value_is_refused_by_name(bundle, kind, value):
    given = {"thresholds": {}, "prevalences": {}} | {kind: {"Mass": value}}
    with pytest.raises(BadOperatingPoint, match=rf"{kind[:-1]} .* of Mass"):
        site_readings(bundle, **given)


def test_an_unknown_finding_is_answered_with_the_nearest(bundle):
    with pytest.raises(BadOperatingPoint, match=r"prevalence .*'Hernai': 'Hernia'"):
        site_readings(bundle, {}, {"Hernai": 0.1})
