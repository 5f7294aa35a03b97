"""What ops are told of an outcome: the sentence for each code."""

import pytest

from scp.dashboard.troubleshooting import FETCHES, Parties, advice
from scp.index.prior_fetches import Outcome as FetchOutcome
from scp.outcomes.delivery import STORE_STATUSES, Cause, Kind, Outcome

PACS = Parties("PACS_A", "HILUM", "THEIRS", "10.0.0.5:104")

# the outcome -> what the page says to do about it
ADVICE = [
    (Outcome.of(Cause.NO_CONNECTION), "PACS_A does not answer on 10.0.0.5:104: is it"),
    (Outcome.of(Cause.UNKNOWN_HOST), "The host name of PACS_A (10.0.0.5:104)"),
    (Outcome.of(Cause.CALLING_TITLE_UNKNOWN), "enter the AE title HILUM"),
    (Outcome.of(Cause.CALLED_TITLE_UNKNOWN), "does not know the AE title THEIRS"),
    (Outcome.of(Cause.CONGESTED), "too many connections"),
    (Outcome.of(Cause.NOT_ACCEPTED, "X Storage as Y"), "PACS_A accepts no X Storage as Y"),
    (Outcome.of(Cause.NOT_UNDERSTOOD), "is another service on that port?"),
    (Outcome.of(Cause.UNREADABLE, "No such file"), "nothing is wrong with PACS_A"),
    (Outcome.of(Cause.EARLIER_RELEASE, "PACS is on fire"), "PACS_A: PACS is on fire"),
    (Outcome.of_status(0xA700), "out of resources"),
    (Outcome.of_status(0xA901), "refuses the object because it does not match its SOP class"),
    (Outcome.of_status(0x0122), "does not support this kind of object"),
    (Outcome.of_status(0x0124), "does not allow HILUM to store"),
    (Outcome.of_status(0x0111), "had the object already"),
    (Outcome.of_status(0xB000), "PACS_A has the object, but changed elements of it"),
    (Outcome.of_status(0xB007), "has the object, but says that it does not match"),
]


@pytest.mark.parametrize(("outcome", "said"), ADVICE, ids=[o.code for o, _ in ADVICE])
def test_an_outcome_is_said_as_what_to_do(outcome, said):
    text = advice(outcome, PACS)
    assert said in text
    assert "PACS_A" in text


OUTCOMES = [Outcome.of_status(row.first) for row in STORE_STATUSES if row.kind is not Kind.SUCCESS]
OUTCOMES += [Outcome.of(cause, "words") for cause in Cause if cause is not Cause.STATUS]


@pytest.mark.parametrize("outcome", OUTCOMES, ids=[outcome.code for outcome in OUTCOMES])
def test_every_outcome_has_its_sentence_and_what_happened(outcome):
    assert "PACS_A" in advice(outcome, PACS)
    assert "{" not in advice(outcome, PACS)
    assert str(outcome)
    if outcome.kind is Kind.WARNING:
        assert "the object" in advice(outcome, PACS)


def test_a_peers_own_words_are_shown_as_they_are_and_braces_are_no_fields():
    outcome = Outcome.of_status(0xC123, "{us} {0} Missing")
    assert str(outcome) == "C-STORE: 0xC123 Cannot understand: {us} {0} Missing"
    assert "{us}" in advice(Outcome.of(Cause.NOT_ACCEPTED, "{us}"), PACS)
    assert advice(None, PACS) == ""


def test_each_way_in_which_priors_do_not_come_has_its_sentence():
    assert set(FETCHES) == {outcome.value for outcome in FetchOutcome} - {"done"}
