"""Which earlier film a film is compared with, and what is said of the others."""

from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from inference.image.acquisition import AcquisitionTime, Precision, is_earlier
from scp.matching.prior import Code, PriorCandidate, choose, rank
from scp.matching.repeats import SAME_EXPOSURE

TAKEN = datetime(2024, 6, 1, 12, 0)
DAY, MINUTE = timedelta(days=1), timedelta(minutes=1)


def acquired(when, precision=Precision.SECOND, source="AcquisitionDate", zone=UTC, stated=False):
    return AcquisitionTime(when.replace(tzinfo=zone), precision, source, stated)


def film(uid, before=timedelta(), **more):
    """A film of one patient, in a study of its own unless told."""
    taken = more.pop("taken", TAKEN)
    values = {
        "uid": uid,
        "study_uid": f"study of {uid}",
        "patient": 1,
        "acquired": taken and acquired(taken - before, **more.pop("time", {})),
        "view": "PA",
    }
    return PriorCandidate(**values | more)


CURRENT = film("current")


def against(choice):
    """The codes of the films that were not taken, by their UIDs."""
    return {rejected.uid: rejected.why.code for rejected in choice.rejected}


def test_the_most_recent_earlier_film_of_the_same_view_is_the_prior():
    old, recent, later = film("old", 9 * DAY), film("recent", 2 * DAY), film("later", -DAY)
    choice = choose(CURRENT, [old, CURRENT, later, recent])
    assert choice.prior is recent
    assert choice.why.code is Code.SAME_VIEW
    assert (choice.limits, choice.notes, choice.limited) == ((), (), "")
    assert against(choice) == {"later": Code.NOT_EARLIER, "old": Code.LESS_RECENT}
    assert [rejected.uid for rejected in choice.rejected] == ["later", "old"]


def test_the_same_view_comes_before_a_more_recent_film_of_another():
    pa, ap = film("pa", 9 * DAY), film("ap", 2 * DAY, view="AP")
    choice = choose(CURRENT, [ap, pa])
    assert choice.prior is pa
    assert against(choice) == {"ap": Code.OTHER_VIEW}
    assert choose(film("current", view="AP"), [ap, pa]).prior is ap


def test_another_view_is_taken_only_when_the_same_is_not_there():
    choice = choose(CURRENT, [film("ap", 2 * DAY, view="AP")])
    assert choice.prior.uid == "ap"
    assert choice.why.code is Code.OTHER_VIEW
    assert choice.why.sentence.endswith("there is none of the same view.")
    assert choice.limits == ()  # of views the comparison speaks itself


@pytest.mark.parametrize("view", ["unknown", "frontal"])
def test_two_films_of_unstated_view_are_not_taken_for_the_same_view(view):
    choice = choose(film("current", view=view), [film("old", DAY, view=view)])
    assert choice.why.code is Code.VIEW_NOT_STATED


@pytest.mark.parametrize("view", ["lateral", "oblique"])
def test_a_film_that_is_not_frontal_is_no_prior(view):
    choice = choose(CURRENT, [film("other", DAY, view=view)])
    assert (choice.prior, choice.why.code) == (None, Code.NONE_FITS)
    assert against(choice) == {"other": Code.NOT_FRONTAL}


def test_without_a_patient_nothing_is_ever_compared():
    nobody, other = film("nobody", DAY, patient=None), film("other", DAY)
    choice = choose(film("current", patient=None), [nobody, other])
    assert (choice.prior, choice.why.code) == (None, Code.NO_PATIENT_ID)
    assert set(against(choice).values()) == {Code.OTHER_PATIENT}


def test_another_patients_film_is_no_prior():
    choice = choose(CURRENT, [film("other", DAY, patient=2), film("nobody", DAY, patient=None)])
    assert choice.prior is None
    assert set(against(choice).values()) == {Code.OTHER_PATIENT}


REPEATS = {
    "minutes apart": film("7 min", 7 * MINUTE),
    "just an hour": film("1 h", SAME_EXPOSURE),
    "same study": film("study", 2 * DAY, study_uid=CURRENT.study_uid),
    "same study, minutes apart": film("both", 7 * MINUTE, study_uid=CURRENT.study_uid),
    "same study, no time": film(
        "day",
        taken=datetime(2024, 5, 31),
        study_uid=CURRENT.study_uid,
        time={"precision": Precision.DAY},
    ),
}
# what is true of the pair
SAYS = {
    "7 min": "Limited comparison: the prior was taken 7 min earlier, there is no",
    "1 h": "the prior was taken 60 min earlier, there is no",
    "study": "both films are of one study, the prior 2 days earlier, there is no",
    "both": "both films are of one study, the prior 7 min earlier, there is no",
    "day": "both films are of one study, the prior 1 day earlier, there is no",
}


@pytest.mark.parametrize("repeat", REPEATS.values(), ids=REPEATS)
def test_a_repeat_of_the_same_exposure_gives_way_to_any_other_film(repeat):
    other = film("other", 900 * DAY, view="AP")
    choice = choose(CURRENT, [repeat, other])
    assert choice.prior is other
    assert against(choice) == {repeat.uid: Code.SAME_EXPOSURE}


@pytest.mark.parametrize("repeat", REPEATS.values(), ids=REPEATS)
def test_a_repeat_is_a_limited_comparison_when_nothing_else_is_there(repeat):
    choice = choose(CURRENT, [repeat])
    assert choice.prior is repeat
    assert choice.why.code is Code.SAME_EXPOSURE
    assert [limit.code for limit in choice.limits] == [Code.SAME_EXPOSURE]
    assert SAYS[repeat.uid] in choice.limited


UNORDERED = {
    "the very same second": film("other"),
    "no time on that day": film(
        "other", taken=datetime(2024, 6, 1), time={"precision": Precision.DAY}
    ),
    "the same minute": film("other", taken=TAKEN, time={"precision": Precision.MINUTE}),
}


@pytest.mark.parametrize("other", UNORDERED.values(), ids=UNORDERED)
def test_films_whose_order_is_not_known_are_not_compared_and_the_answer_says_so(other):
    for current, prior in ((CURRENT, other), (other, CURRENT)):
        choice = choose(current, [prior])
        assert (choice.prior, choice.why.code) == (None, Code.ORDER_NOT_KNOWN)
        assert against(choice) == {prior.uid: Code.ORDER_NOT_KNOWN}
        (note,) = choice.notes
        assert note.code is Code.ORDER_NOT_KNOWN
        assert "may be earlier or later than this one: not compared" in note.sentence


def test_a_film_of_unknown_order_keeps_no_other_from_being_the_prior():
    old, doubtful = film("old", 9 * DAY), film("doubtful")
    choice = choose(CURRENT, [doubtful, old, film("lateral", view="lateral")])
    assert choice.prior is old
    assert [note.code for note in choice.notes] == [Code.ORDER_NOT_KNOWN]
    assert "Another film of this patient" in choice.notes[0].sentence


def test_offsets_are_obeyed_on_both_sides():
    east, west = timezone(timedelta(hours=1)), timezone(timedelta(hours=-5))
    first = film("first", taken=datetime(2024, 6, 1, 21, 30), time={"zone": east, "stated": True})
    second = film("second", taken=datetime(2024, 6, 1, 16, 0), time={"zone": west, "stated": True})
    assert choose(second, [first]).prior is first
    assert against(choose(first, [second])) == {"second": Code.NOT_EARLIER}


def test_more_than_an_hour_before_is_another_exposure():
    assert choose(CURRENT, [film("old", SAME_EXPOSURE + MINUTE)]).limits == ()


def test_a_film_that_could_not_be_analysed_or_read_gives_way_to_the_next():
    bad, gone, good = film("bad", DAY, refused=True), film("gone", 2 * DAY), film("good", 3 * DAY)
    choice = choose(CURRENT, [good, bad, gone], unreadable={"gone"})
    assert choice.prior is good
    assert against(choice) == {"bad": Code.NOT_ANALYSED, "gone": Code.UNREADABLE}


def test_a_film_without_a_date_is_no_prior_and_has_none():
    undated, dated = film("undated", taken=None), film("dated", DAY)
    choice = choose(CURRENT, [undated, dated])
    assert choice.prior is dated
    assert against(choice) == {"undated": Code.NO_DATE}
    assert choose(undated, [dated]).why.code is Code.NO_DATE


def test_the_time_of_a_study_in_place_of_the_acquisitions_is_stated():
    by_study = {"time": {"source": "StudyDate"}}
    prior = film("prior", DAY, **by_study)
    (note,) = choose(CURRENT, [prior]).notes
    assert note.code is Code.STUDY_TIME
    assert note.sentence.endswith("is used for the prior film.")
    (note,) = choose(film("current", **by_study), [prior]).notes
    assert note.sentence.endswith("is used for the film and the prior film.")


def test_a_patients_first_film_has_no_prior_and_says_why():
    choice = choose(CURRENT, [CURRENT])
    assert (choice.prior, choice.why.code, choice.rejected) == (None, Code.NONE_KNOWN, ())


def test_of_films_alike_in_everything_the_first_named_is_taken():
    twins = [film(f"twin {n}", DAY) for n in range(4)]
    assert rank(CURRENT, twins) == twins


VIEWS = st.sampled_from(["PA", "AP", "frontal", "unknown", "lateral"])
OTHERS = st.lists(
    st.tuples(st.integers(-200, 3000), VIEWS, st.sampled_from([1, 2, None]), st.booleans()),
    max_size=8,
)


@given(OTHERS)
def test_every_film_is_either_the_prior_or_has_its_reason(drawn):
    others = [
        film(f"film {n}", minutes * MINUTE, view=view, patient=patient, refused=refused)
        for n, (minutes, view, patient, refused) in enumerate(drawn)
    ]
    choice = choose(CURRENT, others)
    told = {rejected.uid for rejected in choice.rejected}
    assert len(told) == len(choice.rejected)
    chosen = {choice.prior.uid} if choice.prior else set()
    assert told | chosen == {other.uid for other in others}
    assert not told & chosen
    if choice.prior:
        assert choice.prior.patient == 1
        assert is_earlier(choice.prior.acquired, CURRENT.acquired)
        assert not choice.prior.refused
    for rejected in choice.rejected:
        assert rejected.why.sentence.endswith(".")
