"""What is said of findings: the words, and the one function that decides."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from inference.findings import reaches
from inference.statements import (
    against_threshold,
    beside_outline,
    more_than_by_chance,
    outcome_in_full,
    outcome_on_film,
    percent,
)

SHARE = st.floats(0, 1)


@pytest.mark.parametrize(
    ("probability", "threshold", "said"),
    [
        (0.049, 0.043, "4.9 %, above the site's threshold (4.3 %)"),
        (0.043, 0.049, "4.3 %, below the site's threshold (4.9 %)"),
        (0.5, 0.5, "50.0 %, above the site's threshold (50.0 %)"),
        (0.04331, 0.04328, "4.331 %, above the site's threshold (4.328 %)"),
        (0.0001, 0.3, "< 0.1 %, below the site's threshold (30.0 %)"),
        (0.9999, 0.3, "> 99.9 %, above the site's threshold (30.0 %)"),
    ],
)
def test_a_probability_stands_beside_the_threshold_that_gives_it_its_meaning(
    probability, threshold, said
):
    assert against_threshold(probability, threshold) == said


@given(SHARE, SHARE)
def test_the_words_are_on_the_side_on_which_the_decision_is(probability, threshold):
    assert ("above" in against_threshold(probability, threshold)) == reaches(probability, threshold)
    assert "threshold" in beside_outline("Nodule", probability, threshold)


@given(SHARE)
def test_only_certainty_is_read_as_nought_or_a_hundred(probability):
    assert (percent(probability) == "0.0 %") == (probability == 0)
    assert (percent(probability) == "100.0 %") == (probability == 1)


def test_an_outcome_counts_what_was_looked_for_and_is_never_normal():
    none = outcome_in_full(0)
    assert none.startswith("None of the 14 findings looked for is above the site's threshold.")
    assert none.endswith("This is no statement that the film is normal.")
    assert "not thereby normal" in outcome_on_film(0)
    assert outcome_in_full(1) == "1 of the 14 findings looked for is above the site's threshold."
    assert outcome_in_full(3) == "3 of the 14 findings looked for are above the site's threshold."


@pytest.mark.parametrize(("confidence", "number"), [(0.98, 98), (0.996, 99), (1.0, 100)])
def test_a_confidence_says_what_it_counts(confidence, number):
    said = f"differs more than in {number} of 100 pairs without change"
    assert more_than_by_chance(confidence) == said
