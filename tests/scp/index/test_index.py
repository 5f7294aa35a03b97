"""Taking films into the index, and their life in it: SQLite and PostgreSQL alike."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from threading import Barrier

import invented
import numpy as np
import pytest
import sqlalchemy as sa
from films import made_uid, make_film_ds
from pydicom import Dataset
from sqlalchemy.orm import Session

from inference.findings import LABELS, ModelIdentity, NetworkOutput
from inference.model.operating_points import operating_points
from scp.archive import Stored
from scp.errors import Unreadable
from scp.index import films, heartbeats, outputs, prior_choices, registration
from scp.index.heartbeats import Role
from scp.index.registration import Recorded, identify, usable_patient
from scp.index.schema.tables import (
    Analysis,
    Comparison,
    Delivery,
    DeliveryState,
    FilmState,
    Instance,
    Patient,
    PriorChoice,
    Quarantined,
    Result,
    Series,
    Study,
)
from scp.index.trend import trend
from scp.matching.prior import choose, rank

NOW = datetime(2026, 3, 2, 9, 30, tzinfo=UTC)


@pytest.fixture
def session(engine):
    with Session(engine) as session:
        yield session


def header(**elements):
    """A header with these elements alone."""
    ds = Dataset()
    for keyword, value in elements.items():
        setattr(ds, keyword, value)
    return ds


def stored(uid, sha256=""):
    return Stored(f"archive/ab/{uid}.dcm", sha256 or f"{hash(uid) & 0xFFFF:064x}", 10)


def take(session, ds, sha256=""):
    """Record a film as the receiver does."""
    identity = identify(ds, UTC, NOW)
    return registration.register(
        session,
        identity,
        stored(identity.sop_uid, sha256),
        transfer_syntax_uid="1.2.840.10008.1.2.1",
        calling_ae_title="XRAY1",
        now=NOW,
    )


def film_header(number, *, study="s", series=None, patient_id="TEST-1", issuer="", **more):
    """A small header without pixels: recording needs no more."""
    return header(
        SOPInstanceUID=made_uid("film", number),
        SeriesInstanceUID=made_uid("series", series or study),
        StudyInstanceUID=made_uid("study", study),
        SOPClassUID="1.2.840.10008.5.1.4.1.1.1.1",
        Modality="DX",
        PatientID=patient_id,
        IssuerOfPatientID=issuer,
        ViewPosition="PA",
        **more,
    )


def count(session, table):
    return session.scalar(sa.select(sa.func.count()).select_from(table))


# -- who an object is


@pytest.mark.parametrize(
    ("elements", "patient"),
    [
        ({}, None),
        ({"PatientID": ""}, None),
        ({"PatientID": None}, None),
        ({"PatientID": "   "}, None),
        ({"PatientID": ["A", "B"]}, None),
        ({"PatientID": "A\\B"}, None),
        ({"IssuerOfPatientID": "WARD"}, None),
        ({"PatientID": "A"}, ("A", "")),
        ({"PatientID": " A "}, ("A", "")),
        ({"PatientID": "A", "IssuerOfPatientID": ""}, ("A", "")),
        ({"PatientID": "A", "IssuerOfPatientID": " WARD "}, ("A", "WARD")),
        ({"PatientID": "007"}, ("007", "")),
        ({"PatientID": "a"}, ("a", "")),
        ({"PatientID": "Ä^Ö"}, ("Ä^Ö", "")),
    ],
)
def test_a_patient_is_one_id_of_one_issuer_or_nobody(elements, patient):
    assert usable_patient(header(**elements)) == patient


def test_the_same_id_of_another_issuer_is_another_person(session):
    for number, (patient_id, issuer) in enumerate([("1", ""), ("1", "A"), ("1", "B"), ("1", "A")]):
        take(session, film_header(number, patient_id=patient_id, issuer=issuer))
    assert count(session, Patient) == 3


def test_upper_and_lower_case_are_two_people(session):
    take(session, film_header(1, patient_id="abc"))
    take(session, film_header(2, patient_id="ABC"))
    assert count(session, Patient) == 2


@pytest.mark.parametrize("keyword", ["SOPInstanceUID", "SeriesInstanceUID", "StudyInstanceUID"])
@pytest.mark.parametrize("value", [None, "", "../../etc/passwd", "1.2..3", "1." + "2" * 64])
def test_an_object_with_a_bad_uid_is_unreadable_and_says_which(keyword, value):
    ds = make_film_ds(rows=16, columns=16)
    del ds[keyword]
    if value is not None:
        ds.add_new(keyword, "UT", value)  # UT: pydicom does not warn of what is no UID
    with pytest.raises(Unreadable, match=keyword):
        identify(ds, UTC, NOW)


# -- recording


def test_a_film_is_new_once_then_the_same_and_other_bytes_are_told_apart(session):
    ds = film_header(1)
    assert take(session, ds, "aa") is Recorded.NEW
    assert take(session, ds, "aa") is Recorded.SAME
    assert take(session, ds, "bb") is Recorded.OTHER_BYTES
    row = films.film(session, ds.SOPInstanceUID)
    assert (row.sha256, row.state, row.view) == ("aa", FilmState.RECEIVED, "PA")
    assert (row.calling_ae_title, row.received_at) == ("XRAY1", NOW)


def test_films_of_one_study_share_its_rows(session):
    for number in range(4):
        take(session, film_header(number, series=number % 2 or "a"))
    assert [count(session, t) for t in (Patient, Study, Series, Instance)] == [1, 1, 2, 4]


@pytest.mark.parametrize("same", [False, True], ids=["other films", "one film"])
def test_associations_that_bring_one_new_study_at_once_share_its_rows(engine, same):
    threads, rounds = 4, 3
    barrier = Barrier(threads)

    def bring(thread):
        said = []
        for turn in range(rounds):
            ds = film_header((turn, 0 if same else thread), study=turn, patient_id=f"P{turn}")
            barrier.wait(30)
            for _ in range(
                2
            ):  # as scp.pipeline.intake: another thread may have brought it this moment
                try:
                    with Session(engine) as session, session.begin():
                        said.append(take(session, ds))
                    break
                except sa.exc.IntegrityError:
                    continue
        return said

    with ThreadPoolExecutor(threads) as pool:
        said = [one for thread in pool.map(bring, range(threads)) for one in thread]
    assert len(said) == threads * rounds
    assert said.count(Recorded.NEW) == rounds * (1 if same else threads)
    assert set(said) <= {Recorded.NEW, Recorded.SAME}
    with Session(engine) as session:
        made = [count(session, table) for table in (Patient, Study, Series, Instance)]
    assert made == [rounds, rounds, rounds, rounds * (1 if same else threads)]


def test_a_film_without_a_usable_id_belongs_to_nobody(session):
    take(session, film_header(1, patient_id=""))
    assert films.film(session, made_uid("film", 1)).patient_id is None
    assert count(session, Patient) == 0


def test_a_refusal_is_remembered(session):
    registration.record_refusal(
        session,
        Stored("quarantine/ab.dcm", "ab", 9),
        sop_instance_uid="1.2.3",
        calling_ae_title="ODD_AE",
        status=0xC000,
        reason="not a DICOM data set",
        now=NOW,
    )
    session.commit()
    row = session.scalars(sa.select(Quarantined)).one()
    assert (row.status, row.reason, row.received_at) == (0xC000, "not a DICOM data set", NOW)


# -- priors

TAKEN = datetime(2024, 6, 1, 12, 0)


class Films:
    """Puts films of one patient into an index, each in a study of its own unless told."""

    def __init__(self, session):
        self.session = session
        self.number = 0

    def __call__(self, before=timedelta(), *, taken=TAKEN, **more):
        self.number += 1
        view = more.pop("view", "PA")
        state = more.pop("state", FilmState.ANSWERED)
        ds = film_header(self.number, **({"study": self.number} | more))
        assert take(self.session, ds) is Recorded.NEW
        row = films.film(self.session, ds.SOPInstanceUID)
        row.acquired_at = taken and taken - before
        row.acquired_precision = "second" if taken else ""
        row.view, row.state = view, state
        self.session.flush()
        return row


@pytest.fixture
def make(session):
    return Films(session)


DAY = timedelta(days=1)


def priors(session, current):
    """The earlier films that the rule allows, the best first, as rows."""
    found = rank(
        prior_choices.prior_candidate(session, current, UTC),
        prior_choices.prior_candidates(session, current, UTC),
    )
    return [films.film(session, one.uid) for one in found]


def test_the_prior_is_the_most_recent_earlier_film(session, make):
    old, recent, current, later = make(9 * DAY), make(2 * DAY), make(), make(-DAY)
    assert priors(session, current) == [recent, old]
    assert priors(session, later) == [current, recent, old]
    assert priors(session, old) == []


def test_the_same_view_comes_before_a_more_recent_film_of_another(session, make):
    make(2 * DAY, view="lateral")
    ap, pa_recent, pa_old = make(3 * DAY, view="AP"), make(4 * DAY), make(9 * DAY)
    assert priors(session, make()) == [pa_recent, pa_old, ap]
    assert priors(session, make(view="AP", taken=TAKEN + DAY))[0] == ap


def test_another_persons_film_is_no_prior(session, make):
    for other in ({"issuer": "WARD"}, {"patient_id": "TEST-2"}, {"patient_id": "test-1"}):
        make(2 * DAY, **other)
    assert priors(session, make()) == []


def test_films_without_a_usable_id_never_meet(session, make):
    for patient_id in ("", "  ", "A\\B"):
        make(2 * DAY, patient_id=patient_id)
        assert priors(session, make(patient_id=patient_id)) == []


def test_the_same_issuer_keeps_its_patients_together(session, make):
    prior = make(2 * DAY, issuer="WARD")
    assert priors(session, make(issuer="WARD")) == [prior]


def test_a_repeat_comes_after_every_other_film(session, make):
    same_study, repeat = make(2 * DAY, study="one"), make(timedelta(minutes=7))
    other = make(900 * DAY, view="AP")
    assert priors(session, make(study="one")) == [other, repeat, same_study]


def test_a_film_that_could_not_be_analysed_is_no_prior(session, make):
    made = {state: make(2 * DAY, state=state) for state in FilmState}
    refused = (FilmState.NOT_ANALYSED, FilmState.FAILED)
    usable = set(FilmState) - set(refused)  # one that was fetched too
    assert set(priors(session, make())) == {made[state] for state in usable}


def test_a_film_without_a_date_has_no_prior_and_is_none(session, make):
    undated, dated = make(taken=None), make(2 * DAY)
    assert priors(session, undated) == []
    assert priors(session, make()) == [dated]


def test_a_date_that_stands_for_none_is_none(session, make):
    """The first of them made the subtraction of an hour overflow."""
    dated = make(2 * DAY)
    for day in ((1, 1, 1), (1753, 1, 1), (1899, 12, 30), (1900, 1, 1)):
        assert priors(session, make(taken=datetime(*day))) == []
    assert priors(session, make()) == [dated]


def test_films_of_the_same_moment_have_an_order_that_stays(session, make):
    twins = [make(2 * DAY) for _ in range(4)]
    current = make()
    assert priors(session, current) == twins[::-1]
    assert priors(session, current) == twins[::-1]


# -- which prior a film was answered with


def answer(session, film, now=NOW):
    """Choose a film's prior and remember it, as the worker does."""
    choice = choose(
        prior_choices.prior_candidate(session, film, UTC),
        prior_choices.prior_candidates(session, film, UTC),
    )
    prior_choices.save(session, film, choice, now)
    film.state = FilmState.ANSWERED
    session.flush()
    return choice


def outdated(session, changed):
    return {(o.film_uid, o.prior_uid) for o in prior_choices.outdated(session, changed, UTC)}


def test_the_choice_of_a_prior_is_kept_with_its_reasons_and_replaced_by_the_next(session, make):
    current, old, ap = make(), make(9 * DAY), make(DAY, view="AP")
    answer(session, current)
    recent = make(2 * DAY)
    answer(session, current, NOW + DAY)
    session.commit()
    row = session.scalars(sa.select(PriorChoice)).one()
    assert (row.instance_id, row.prior, row.code) == (current.id, recent, "same_view")
    assert (row.limited, row.notes, row.not_listed, row.chosen_at) == ("", [], 0, NOW + DAY)
    assert [(r["uid"], r["code"]) for r in row.rejected] == [
        (ap.uid, "other_view"),
        (old.uid, "less_recent"),
    ]


def test_a_year_of_films_does_not_fill_the_index_with_reasons(session, make):
    for day in range(60):
        make((day + 1) * DAY)
    answer(session, make())
    row = session.scalars(sa.select(PriorChoice)).one()
    assert (len(row.rejected), row.not_listed) == (50, 9)


def test_a_film_is_outdated_once_a_better_prior_was_read(session, make):
    current, old = make(), make(9 * DAY)
    answer(session, current)
    assert outdated(session, old) == set()
    late = make(2 * DAY, state=FilmState.RECEIVED)
    assert outdated(session, late) == set()  # not yet: it may turn out to be unreadable
    late.state = FilmState.ANALYSED
    assert outdated(session, late) == {(current.uid, late.uid)}
    assert prior_choices.is_outdated(session, current, UTC)
    answer(session, current)
    assert outdated(session, late) == set()
    assert not prior_choices.is_outdated(session, current, UTC)


def test_only_films_whose_prior_changes_are_outdated(session, make):
    old, middle, new = make(30 * DAY), make(20 * DAY), make(10 * DAY)
    for film in (old, middle, new):
        answer(session, film)
    between = make(25 * DAY, state=FilmState.ANALYSED)
    assert outdated(session, between) == {(middle.uid, between.uid)}
    oldest = make(90 * DAY, state=FilmState.ANALYSED)
    assert outdated(session, oldest) == {(old.uid, oldest.uid)}
    other = make(25 * DAY, state=FilmState.ANALYSED, patient_id="TEST-2")
    nobody = make(25 * DAY, state=FilmState.ANALYSED, patient_id="")
    assert outdated(session, other) == outdated(session, nobody) == set()


def test_a_film_without_an_answer_is_not_outdated(session, make):
    current = make(state=FilmState.ANALYSED)
    assert outdated(session, make(DAY, state=FilmState.ANALYSED)) == set()
    assert not prior_choices.is_outdated(session, current, UTC)


def test_a_film_that_stood_in_the_way_and_is_refused_makes_room_for_the_next(session, make):
    current = make()
    answer(session, current)
    best, next_best = make(DAY, state=FilmState.RECEIVED), make(2 * DAY, state=FilmState.ANALYSED)
    assert outdated(session, next_best) == set()
    best.state = FilmState.NOT_ANALYSED
    assert outdated(session, best) == {(current.uid, next_best.uid)}


def test_a_prior_whose_own_answer_fails_stays_the_prior(session, make):
    current, prior = make(), make(DAY)
    make(2 * DAY)
    answer(session, current)
    prior.state = FilmState.FAILED
    assert outdated(session, prior) == set()
    assert not prior_choices.is_outdated(session, current, UTC)


def test_a_film_that_could_not_be_read_is_not_asked_for_again(session, make):
    current, gone = make(), make(DAY)
    known = prior_choices.prior_candidates(session, current, UTC)
    choice = choose(prior_choices.prior_candidate(session, current, UTC), known, [gone.uid])
    prior_choices.save(session, current, choice, NOW)
    assert outdated(session, gone) == outdated(session, current) == set()


def test_of_two_transactions_that_hold_a_patient_the_second_waits_and_sees_the_first(engine):
    with Session(engine) as session, session.begin():
        make = Films(session)
        current, late = make(state=FilmState.ANALYSED), make(DAY, state=FilmState.RECEIVED)
        uids = current.uid, late.uid
    barrier, found = Barrier(2), []

    def state(uid, new):
        barrier.wait(30)
        with Session(engine) as session, session.begin():
            film = films.film(session, uid)
            prior_choices.lock_patient(session, film)
            if new is FilmState.ANSWERED:  # as if it had chosen before the other one came
                prior_choices.save(
                    session,
                    film,
                    choose(prior_choices.prior_candidate(session, film, UTC), []),
                    NOW,
                )
            film.state = new
            session.flush()
            found.extend(prior_choices.outdated(session, film, UTC))

    with ThreadPoolExecutor(2) as pool:
        new = (FilmState.ANSWERED, FilmState.ANALYSED)
        list(pool.map(state, uids, new))
    assert [(o.film_uid, o.prior_uid) for o in found] == [uids]


# -- the trend

OTHER_MODEL = ModelIdentity("invented-net", "2.0.0", "cd34" * 16)


def read(session, film, mass, model=invented.MODEL):
    """Say of a film how probable a mass is."""
    said = invented.prediction({"Mass": (mass, 0.5, 0.5, 0.1)})
    said = replace(invented.output(said), model=model)
    outputs.remember_model(session, model, invented.READINGS)
    outputs.save_analysis(session, film, said, (), NOW)
    session.flush()


def test_the_trend_is_each_findings_probability_over_all_films_of_a_patient_oldest_first(
    session, make
):
    current, oldest, middle = make(), make(9 * DAY, view="AP"), make(2 * DAY)
    other, later = make(DAY, patient_id="TEST-2"), make(-DAY)
    for film, mass in ((current, 0.5), (oldest, 0.25), (middle, 0.75), (other, 0.9), (later, 1.0)):
        read(session, film, mass)
    make(5 * DAY, state=FilmState.RECEIVED)  # nobody has read it
    session.commit()
    session.expire_all()
    found = trend(session, current, UTC)
    assert [point.film_uid for point in found.points] == [
        film.uid for film in (oldest, middle, current, later)
    ]
    said = [point.probabilities["Mass"] for point in found.points]
    assert said == pytest.approx([0.25, 0.75, 0.5, 1.0])
    assert all(set(point.probabilities) == set(LABELS) for point in found.points)
    here = TAKEN.replace(tzinfo=UTC)
    assert [point.at for point in found.points] == [
        here - 9 * DAY,
        here - 2 * DAY,
        here,
        here + DAY,
    ]
    assert [point.view for point in found.points] == ["AP", "PA", "PA", "PA"]
    assert (found.model, found.left_out) == ("invented-net 1.2.0", ())


def test_the_trend_is_of_one_model_and_names_the_films_that_only_others_have_read(session, make):
    current, both, old, undated = make(), make(DAY), make(2 * DAY), make(taken=None)
    read(session, current, 0.5)
    read(session, both, 0.25)
    for film in (both, old):
        read(session, film, 0.75, OTHER_MODEL)
    read(session, undated, 0.5)
    found = trend(session, current, UTC)
    assert [p.film_uid for p in found.points] == [both.uid, current.uid]
    assert [p.probabilities["Mass"] for p in found.points] == pytest.approx([0.25, 0.5])
    assert {(left.film_uid, left.why) for left in found.left_out} == {
        (old.uid, "read by another model: invented-net 2.0.0"),
        (undated.uid, "its acquisition time is unknown"),
    }
    assert trend(session, old, UTC).model == "invented-net 2.0.0"


def test_a_film_without_a_patient_has_a_trend_of_itself_alone(session, make):
    alone, other = make(patient_id=""), make(DAY, patient_id="")
    assert trend(session, alone, UTC).points == ()
    for film in (alone, other):
        read(session, film, 0.5)
    assert [point.film_uid for point in trend(session, alone, UTC).points] == [alone.uid]


# -- what was said of a film


def rows_of(session, make):
    """A current film and its prior, each analysed."""
    pair = make(), make(2 * DAY)
    return tuple(outputs.save_analysis(session, f, invented.output(), (), NOW) for f in pair)


def test_an_output_comes_back_as_it_was_said(session, make):
    rng = np.random.default_rng(5)
    said = NetworkOutput(
        rng.normal(size=14), rng.normal(size=(14, 16, 16)).astype(np.float32), invented.MODEL
    )
    row = make()
    outputs.remember_model(session, invented.MODEL, invented.READINGS)
    outputs.save_analysis(session, row, said, ("The age is not known.",), NOW)
    session.commit()
    session.expire_all()
    kept = outputs.analysis(session, row, invented.MODEL)
    told = outputs.site_view(session).prediction(kept)
    meant = operating_points(invented.READINGS).apply(said)
    for name in ("probabilities", "thresholds", "positive", "withheld", "heatmaps"):
        np.testing.assert_array_equal(getattr(told, name), getattr(meant, name))
    assert told.heatmaps.dtype == np.float32
    assert (told.model, kept.notes) == (invented.MODEL, ["The age is not known."])


def test_maps_that_would_run_code_are_not_loaded(session, make):
    import io

    outputs.remember_model(session, invented.MODEL, invented.READINGS)
    row = outputs.save_analysis(session, make(), invented.output(), (), NOW)
    hostile = io.BytesIO()
    np.save(hostile, np.array([print], dtype=object), allow_pickle=True)
    row.maps = hostile.getvalue()
    with pytest.raises(ValueError, match="allow_pickle"):
        outputs.site_view(session).prediction(row)


def test_each_model_speaks_once_of_a_film(session, make):
    film, other = make(), ModelIdentity("invented-net", "2.0.0", "cd34" * 16)
    first = outputs.save_analysis(session, film, invented.output(), (), NOW)
    assert outputs.analysis(session, film, other) is None
    assert outputs.save_analysis(session, film, invented.output(), (), NOW + DAY) is first
    assert first.created_at == NOW


def test_a_comparison_saved_again_replaces_the_first(session, make):
    current, prior = rows_of(session, make)
    session.flush()
    compared = films.ComparedRow.of(invented.comparison())
    films.save_comparison(session, current.id, prior.id, compared, NOW)
    session.flush()
    row = session.scalars(sa.select(Comparison)).one()
    assert (row.comparable, row.reason, row.created_at) == (True, "", NOW)
    assert (row.quality, row.ssim) == (0.93, 0.71)
    assert [change["label"] for change in row.changes] == list(LABELS)
    assert row.changes[LABELS.index("Nodule")] == {
        "label": "Nodule",
        "prior": 0.05,
        "current": 0.93,
        "change": "new",
        "confidence": 0.99,
        "threshold": None,
        "words": [],
    }
    again = invented.comparison(comparable=False, reason="other words")
    films.save_comparison(session, current.id, prior.id, films.ComparedRow.of(again), NOW + DAY)
    session.commit()
    row = session.scalars(sa.select(Comparison)).one()
    assert (row.comparable, row.reason, row.created_at) == (False, "other words", NOW)


def test_a_result_saved_again_changes_nothing(session, make):
    film = make()
    for destinations, new in (({"pacs": 1, "viewer": 3}, True), ({"elsewhere": 1}, False)):
        was_new = films.save_result(
            session,
            film,
            kind="heatmap",
            uid="1.2.9",
            sop_class_uid="1.2.840.10008.5.1.4.1.1.7",
            stored=Stored("results/ab/1.2.9.dcm", "ab", 5),
            destinations=destinations,
            now=NOW,
        )
        assert was_new is new
    session.commit()
    assert count(session, Result) == 1
    rows = session.scalars(sa.select(Delivery).order_by(Delivery.destination)).all()
    assert [(r.destination, r.state, r.job, r.attempts) for r in rows] == [
        ("pacs", DeliveryState.PENDING, 1, 0),
        ("viewer", DeliveryState.PENDING, 3, 0),
    ]


def test_a_result_without_destinations_stays_in_the_archive(session, make):
    stored_at = Stored("results/ab/1.2.9.dcm", "ab", 5)
    film = make()
    films.save_result(
        session,
        film,
        kind="report",
        uid="1.2.9",
        sop_class_uid="1.2.840.10008.5.1.4.1.1.88.34",
        stored=stored_at,
        destinations={},
        now=NOW,
    )
    session.commit()
    assert film.results[0].path == stored_at.path
    assert count(session, Delivery) == 0


def test_a_film_is_finished_when_its_outcome_is_stated(session, make):
    film = make(state=FilmState.RECEIVED)
    for state in (FilmState.FAILED, *FilmState):  # a failed film may be tried again
        films.set_outcome(film, state, NOW, "why", "more")
        session.commit()
        assert (film.state, film.reason, film.detail) == (state, "why", "more")
        waits = state in (FilmState.RECEIVED, FilmState.ANALYSED)
        assert film.finished_at == (None if waits else NOW)
    films.set_outcome(film, FilmState.ANSWERED, NOW)
    assert (film.reason, film.detail) == ("", "")


def test_a_film_that_was_never_received_is_an_error(session):
    with pytest.raises(sa.exc.NoResultFound):
        films.film(session, "1.2.3")


# -- heartbeats


def test_a_role_is_alive_while_it_says_so(session):
    work = Role("work-b", "work", 41, {"model": "m"})
    heartbeats.beat(session, work, NOW)
    heartbeats.beat(session, Role("receive-a", "receive", 40, {}), NOW)
    assert [role.name for role in heartbeats.alive(session, NOW)] == ["receive-a", "work-b"]
    heartbeats.beat(session, work, NOW + timedelta(seconds=10))
    assert heartbeats.alive(session, NOW + timedelta(seconds=20)) == [work]
    assert heartbeats.alive(session, NOW + timedelta(seconds=25)) == []


def test_a_role_that_takes_its_leave_is_gone_at_once(session):
    for name in ("work-a", "work-b"):
        heartbeats.beat(session, Role(name, "work", 41, {}), NOW)
    heartbeats.deregister(session, "work-a")
    heartbeats.deregister(session, "never-there")
    session.commit()
    assert [role.name for role in heartbeats.alive(session, NOW)] == ["work-b"]


def test_a_role_that_comes_back_replaces_itself(session):
    heartbeats.beat(session, Role("work-a", "work", 41, {"model": "old"}), NOW)
    session.commit()
    again = Role("work-a", "work", 97, {"model": "new"})
    heartbeats.beat(session, again, NOW + DAY)
    session.commit()
    assert heartbeats.alive(session, NOW + DAY) == [again]


def test_what_was_said_of_a_film_is_one_row_a_film_and_model(session, make):
    rows_of(session, make)
    session.commit()
    assert count(session, Analysis) == 2
