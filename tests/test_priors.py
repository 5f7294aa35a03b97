"""Which earlier film a film is compared with, and what is said of the others."""

from datetime import datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scp.priors import SAME_EXPOSURE, Candidate, Code, choose, rank

TAKEN = datetime(2024, 6, 1, 12, 0)
DAY, MINUTE = timedelta(days=1), timedelta(minutes=1)


def film(uid, before=timedelta(), **more):
    """A film of one patient, in a study of its own unless told."""
    taken = more.pop("taken", TAKEN)
    values = {
        "uid": uid,
        "study_uid": f"study of {uid}",
        "patient": 1,
        "acquired_at": taken and taken - before,
        "acquired_from": "AcquisitionDate",
        "view": "PA",
    }
    return Candidate(**values | more)


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
    assert choice.why.sentence.endswith("none of the same view is there.")
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
    "minutes apart": film("repeat", 7 * MINUTE),
    "just an hour": film("repeat", SAME_EXPOSURE),
    "same study": film("repeat", 2 * DAY, study_uid=CURRENT.study_uid),
}


@pytest.mark.parametrize("repeat", REPEATS.values(), ids=REPEATS)
def test_a_repeat_of_the_same_exposure_gives_way_to_any_other_film(repeat):
    other = film("other", 900 * DAY, view="AP")
    choice = choose(CURRENT, [repeat, other])
    assert choice.prior is other
    assert against(choice) == {"repeat": Code.SAME_EXPOSURE}


@pytest.mark.parametrize("repeat", REPEATS.values(), ids=REPEATS)
def test_a_repeat_is_a_limited_comparison_when_nothing_else_is_there(repeat):
    choice = choose(CURRENT, [repeat])
    assert choice.prior is repeat
    assert choice.why.code is Code.SAME_EXPOSURE
    assert [limit.code for limit in choice.limits] == [Code.SAME_EXPOSURE]
    assert "one study or taken within an hour" in choice.limited


def test_a_film_of_the_very_same_time_is_never_a_prior():
    choice = choose(CURRENT, [film("twin")])
    assert (choice.prior, against(choice)) == (None, {"twin": Code.NOT_EARLIER})


def test_more_than_an_hour_before_is_another_exposure():
    assert choose(CURRENT, [film("old", SAME_EXPOSURE + MINUTE)]).limits == ()


def test_a_film_that_could_not_be_analysed_or_read_gives_way_to_the_next():
    bad, gone, good = film("bad", DAY, refused=True), film("gone", 2 * DAY), film("good", 3 * DAY)
    choice = choose(CURRENT, [good, bad, gone], unreadable={"gone"})
    assert choice.prior is good
    assert against(choice) == {"bad": Code.NOT_ANALYSED, "gone": Code.UNREADABLE}


@pytest.mark.parametrize("taken", [None, datetime(1, 1, 1), datetime(1753, 1, 1)])
def test_a_film_without_a_date_is_no_prior_and_has_none(taken):
    undated, dated = film("undated", taken=taken), film("dated", DAY)
    choice = choose(CURRENT, [undated, dated])
    assert choice.prior is dated
    assert against(choice) == {"undated": Code.NO_DATE}
    assert choose(undated, [dated]).why.code is Code.NO_DATE


def test_the_time_of_a_study_in_place_of_the_acquisitions_is_stated():
    by_study = {"acquired_from": "StudyDate"}
    prior = film("prior", DAY, **by_study)
    (note,) = choose(CURRENT, [prior]).notes
    assert note.code is Code.STUDY_TIME
    assert note.sentence.endswith("stands for the prior film.")
    (note,) = choose(film("current", **by_study), [prior]).notes
    assert note.sentence.endswith("stands for the film and the prior film.")


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
        assert choice.prior.acquired_at < CURRENT.acquired_at
        assert not choice.prior.refused
    for rejected in choice.rejected:
        assert rejected.why.sentence.endswith(".")
