"""Priors from the PACS in the answer: fetched before it, or later, and never at its expense."""

import threading
from datetime import UTC
from time import monotonic

import pytest
from bench import open_bench
from films import make_film_ds
from network import DEADLINE_S, port_of, receiving, save, store
from ports import free_port
from pydicom import Dataset, dcmread
from pydicom.uid import DigitalXRayImageStorageForPresentation
from qrscp import OddPacs, QrScp
from sqlalchemy import select
from sqlalchemy.orm import Session
from structlog.testing import capture_logs

from scp.dimse.request import Request
from scp.errors import ArchiveFull, Conflict
from scp.index import films
from scp.index.prior_fetches import Outcome
from scp.index.schema.tables import Delivery, FilmState, Instance, PriorFetch, Result
from scp.index.trend import trend
from scp.monitoring.metrics import metrics
from scp.pipeline.job_ids import again_job, fetch_job, film_job
from scp.pipeline.prior_fetch import not_fetched
from scp.processes.runtime import now

DX = DigitalXRayImageStorageForPresentation
PID = "PID-7734-SECRET"

pytestmark = [
    # pynetdicom lets go of a socket that was refused, and leaves its closing to the collector
    pytest.mark.filterwarnings("ignore:unclosed <socket:ResourceWarning"),
]


@pytest.fixture
def bench(tmp_path, tiny_bundle):
    with open_bench(tmp_path / "hilum", tiny_bundle) as bench:
        yield bench


def film(day, **more):
    """A film of one patient, in a study of its own."""
    values = {"patient_id": PID, "issuer": "WARD", "study_date": day, "seed": int(day) % 97}
    return make_film_ds(**values | more)


CURRENT = film("20240101")


def asked(pacs_port, how="get", **more):
    return {"retrieve": how, "port": pacs_port, "timeout_s": DEADLINE_S} | more


def jobs(bench):
    return {job.workflow_id for job in bench.stores.jobs.unfinished()}


def results_of(bench, uid):
    with Session(bench.stores.engine) as session:
        film = films.film(session, uid)
        found = session.scalars(select(Result).where(Result.instance_id == film.id)).all()
        sent = select(Delivery).join(Delivery.result).where(Result.instance_id == film.id)
        return found, session.scalars(sent).all()


def notes(row):
    return [note.sentence for note in row.choice.notes]


def outcome(bench):
    """How the one film that asked the PACS fared, and after how many failures."""
    with Session(bench.stores.engine) as session:
        row = session.scalars(select(PriorFetch)).one()
        return row.outcome, row.failures


def is_fetched_prior(bench, uid):
    """A fetched prior is shown as one, and nothing was made of it or asked for."""
    row = bench.row(uid)
    assert row.state is FilmState.FETCHED
    assert results_of(bench, uid) == ([], [])
    return not {job for job in jobs(bench) if job.startswith((film_job(uid), f"fetch:{uid}"))}


# --- a PACS that answers ------------------------------------------------------------------------


def test_a_film_is_compared_with_the_prior_that_get_brought(bench, tmp_path):
    prior = film("20230101")
    with QrScp(tmp_path / "pacs") as pacs:
        pacs.fill(prior)
        bench.ask(**asked(pacs.port))
        row = bench.answer(bench.take(CURRENT))
    assert row.prior.uid == prior.SOPInstanceUID
    assert "comparison-capture" in {result.kind for result in row.results}
    assert notes(row) == []
    assert is_fetched_prior(bench, prior.SOPInstanceUID)
    assert bench.row(prior.SOPInstanceUID).calling_ae_title == "PACS"
    assert (outcome(bench), bench.again()) == (("done", 0), set())


def test_a_film_is_compared_with_the_prior_that_move_brought_to_the_receiver(bench, tmp_path):
    prior = film("20230101")
    with (
        receiving(bench.stores, intake=bench.intake, moved_by="PACS") as receiver,
        QrScp(tmp_path / "pacs", port_of(receiver)) as pacs,
    ):
        pacs.fill(prior)
        bench.ask(**asked(pacs.port, "move"))
        row = bench.answer(bench.take(CURRENT))
    assert row.prior.uid == prior.SOPInstanceUID
    assert is_fetched_prior(bench, prior.SOPInstanceUID)


def test_a_film_that_is_sent_or_moved_by_somebody_else_is_sent_in_earnest(bench):
    """Only the PACS, and only in our own C-MOVE, brings priors."""
    by_hand, by_others, from_elsewhere = (film(f"2020010{n}") for n in (1, 2, 3))
    with receiving(bench.stores, intake=bench.intake, moved_by="PACS") as receiver:
        port = port_of(receiver)
        assert store(port, by_hand, calling="PACS") == 0
        assert store(port, by_others, calling="PACS", originator="STATION") == 0
        assert store(port, from_elsewhere, calling="XRAY1", originator="HILUM") == 0
        ours = film("20200104")
        assert store(port, ours, calling="PACS", originator="HILUM") == 0
    for ds in (by_hand, by_others, from_elsewhere):
        assert bench.row(ds.SOPInstanceUID).state is FilmState.RECEIVED
        assert film_job(ds.SOPInstanceUID) in jobs(bench)
    assert is_fetched_prior(bench, ours.SOPInstanceUID)


def test_the_film_of_another_patient_is_neither_fetched_nor_compared_with(bench, tmp_path):
    others = [
        film("20230101", patient_id="PID-77"),
        film("20230202", issuer="OTHER"),
        film("20230303", issuer=""),
    ]
    with QrScp(tmp_path / "pacs") as pacs:
        pacs.fill(*others)
        bench.ask(**asked(pacs.port))
        row = bench.answer(bench.take(CURRENT))
    assert (row.prior, row.choice.code) == (None, "none_known")
    assert [bench.row(ds.SOPInstanceUID) for ds in others] == [None] * 3
    assert outcome(bench) == ("done", 0)


def test_a_film_of_another_patient_that_a_pacs_brings_all_the_same_is_not_compared_with(bench):
    """The header says whose a film is, not the PACS that was asked."""
    other = film("20230101", patient_id="PID-77")

    def find(event):
        match = Dataset()
        match.QueryRetrieveLevel = event.identifier.QueryRetrieveLevel
        for keyword in ("StudyDate", "StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID"):
            setattr(match, keyword, other[keyword].value)
        match.PatientID, match.IssuerOfPatientID, match.Modality = PID, "WARD", "DX"
        yield 0xFF00, match

    def get(_event):
        yield 1
        yield 0xFF00, other

    with OddPacs(find=find, get=get, also=(DX,)) as pacs:
        bench.ask(**asked(pacs.port))
        row = bench.answer(bench.take(CURRENT))
    assert bench.row(other.SOPInstanceUID).state is FilmState.FETCHED
    assert row.prior is None


def test_films_that_are_never_compared_ask_nobody(bench):
    bench.ask(**asked(free_port()))
    for ds in (
        film("20240101", patient_id="A\\B"),
        film(
            "20240102",
            AcquisitionDate=None,
            ContentDate=None,
            SeriesDate=None,
            StudyDate=None,
        ),
        film("20240103", view="LL"),
    ):
        bench.answer(bench.take(ds))
    assert bench.count(PriorFetch) == 0
    assert not [job for job in jobs(bench) if job.startswith("fetch:")]


def test_what_is_here_and_our_own_results_are_not_fetched(bench, tmp_path):
    prior = film("20230101")
    bench.answer(bench.take(prior))
    with QrScp(tmp_path / "pacs") as pacs, capture_logs() as lines:
        (made, _) = results_of(bench, prior.SOPInstanceUID)
        kept = [bench.stores.archive.path(result.path) for result in made]
        pacs.fill(prior, *(ds for ds in map(dcmread, kept) if ds.Modality != "SR"))
        bench.ask(**asked(pacs.port))
        row = bench.answer(bench.take(CURRENT))
    assert row.prior.uid == prior.SOPInstanceUID
    assert bench.row(prior.SOPInstanceUID).state is FilmState.ANSWERED
    (found,) = [line for line in lines if line["event"] == "priors found"]
    assert found["images"] == 0
    assert bench.count(Instance) == 2


def test_a_fetched_prior_counts_in_the_trend_once_it_was_read(bench, tmp_path):
    prior = film("20230101")
    with QrScp(tmp_path / "pacs") as pacs:
        pacs.fill(prior)
        bench.ask(**asked(pacs.port))
        bench.answer(bench.take(CURRENT))
    with Session(bench.stores.engine) as session:
        points = trend(session, films.film(session, CURRENT.SOPInstanceUID), UTC).points
    assert [point.film_uid for point in points] == [prior.SOPInstanceUID, CURRENT.SOPInstanceUID]


# --- sent in earnest ----------------------------------------------------------------------------


@pytest.mark.parametrize("sent_as", ["the same", "corrected", "another picture"])
def test_a_fetched_prior_that_is_sent_later_is_answered(bench, sent_as):
    """Another picture under its UID is refused as ever, and the film that is here is answered."""
    prior, sent = film("20230101"), film("20230101")
    bring(bench, prior)
    if sent_as == "another picture":
        sent.WindowCenter = "1"
        with pytest.raises(Conflict):
            bench.take(sent)
    else:
        sent.AccessionNumber = "A1" if sent_as == "corrected" else sent.AccessionNumber
        bench.take(sent)
    row = bench.row(prior.SOPInstanceUID)
    assert (row.state, row.calling_ae_title, row.finished_at) == (FilmState.RECEIVED, "TEST", None)
    assert film_job(prior.SOPInstanceUID) in jobs(bench)
    row = bench.answer(prior.SOPInstanceUID)
    assert row.state is FilmState.ANSWERED
    assert len(row.results) == 2


def test_a_film_that_was_sent_is_not_made_a_fetched_one_when_it_comes_that_way_too(bench):
    prior = film("20230101")
    bench.answer(bench.take(prior))
    bring(bench, prior)
    assert bench.row(prior.SOPInstanceUID).state is FilmState.ANSWERED


# --- a PACS that does not, and later does -------------------------------------------------------


def test_a_pacs_that_was_away_is_asked_later_and_the_film_answered_again_once(bench, tmp_path):
    prior, uid, port = film("20230101"), CURRENT.SOPInstanceUID, free_port()
    bench.ask(**asked(port, retry_s=3600))
    row = bench.answer(bench.take(CURRENT))
    assert (row.state, row.prior) == (FilmState.ANSWERED, None)
    note = "Earlier films could not be fetched from the PACS: it could not be reached."
    assert notes(row) == [f"{note} Only films that are here were considered."]
    assert notes(row)[0] in bench.report(row)
    assert bench.stores.jobs.status(fetch_job(uid, 2)).status == "DELAYED"
    assert outcome(bench) == ("unreachable", 1)
    with QrScp(tmp_path / "pacs", port=port) as pacs:
        pacs.fill(prior)
        assert bench.fetch_again() == {fetch_job(uid, 2)}
        bench.fetch_again()  # done again after a kill: nothing comes twice
    assert outcome(bench) == ("done", 1)
    assert bench.again() == {again_job(uid, prior.SOPInstanceUID)}
    row = bench.row(uid)
    assert (row.prior.uid, notes(row)) == (prior.SOPInstanceUID, [])
    assert len(row.results) == 2 + 3
    bench.again()
    assert len(bench.row(uid).results) == 2 + 3
    assert is_fetched_prior(bench, prior.SOPInstanceUID)


def test_a_pacs_that_stays_away_is_asked_a_bounded_number_of_times(bench):
    uid = CURRENT.SOPInstanceUID
    bench.ask(**asked(free_port(), attempts=3))
    bench.answer(bench.take(CURRENT))
    for _ in range(5):
        seen = bench.fetch_again()
    assert seen == {fetch_job(uid, 2), fetch_job(uid, 3)}
    assert outcome(bench) == ("unreachable", 3)


def test_an_answer_that_tells_of_missing_priors_and_one_that_need_not_are_two(bench):
    """Never other bytes under one UID."""
    bench.ask(**asked(free_port()))
    uid = bench.take(CURRENT)
    told = bench.answer(uid)
    with OddPacs(find=lambda _event: iter(())) as pacs:
        bench.ask(**asked(pacs.port))
        done = bench.answer(uid)  # by hand, with `hilum queue retry`
    assert notes(told) != notes(done) == []
    uids = {result.uid for result in told.results}
    assert len(done.results) == 4
    assert uids < {result.uid for result in done.results}


def test_of_priors_that_came_in_part_only_the_rest_is_asked_for_later(bench, tmp_path):
    newer, older = film("20230101"), film("20220101")
    take, full = bench.intake.ingest_prior, {newer.SOPInstanceUID}

    def once_full(path, request):
        if request.sop_instance_uid in full:
            raise ArchiveFull("the disk is full")
        take(path, request)

    bench.intake.ingest_prior = once_full
    uid = bench.take(CURRENT)
    with QrScp(tmp_path / "pacs") as pacs:
        pacs.fill(newer, older)
        bench.ask(**asked(pacs.port))
        row = bench.answer(uid)
        assert (row.prior.uid, outcome(bench)) == (older.SOPInstanceUID, ("incomplete", 1))
        assert "not all of them arrived" in notes(row)[0]
        full.clear()
        with capture_logs() as lines:
            bench.fetch_again()
    (found,) = [line for line in lines if line["event"] == "priors found"]
    assert found["images"] == 1
    assert bench.again() == {again_job(uid, newer.SOPInstanceUID)}
    assert bench.row(uid).prior.uid == newer.SOPInstanceUID


def test_an_attempt_that_is_done_again_is_counted_once(bench):
    bench.ask(**asked(free_port()))
    uid = bench.take(CURRENT)
    for _ in range(3):
        bench.fetcher.fetch(uid)
    assert outcome(bench) == ("unreachable", 1)
    assert bench.fetch_again() == {fetch_job(uid, 2)}


def test_after_the_time_limit_the_film_is_answered_and_later_completed(bench, tmp_path):
    hanging = threading.Event()

    def never(_event):
        hanging.wait(DEADLINE_S)
        yield from ()

    prior, uid = film("20230101"), bench.take(CURRENT)
    with OddPacs(find=never) as pacs:
        bench.ask(**asked(pacs.port, timeout_s=1))
        started = monotonic()
        bench.fetcher.fetch(uid)
        took_s = monotonic() - started
        hanging.set()
    assert took_s < DEADLINE_S / 3
    row = bench.answer(uid)
    assert row.state is FilmState.ANSWERED
    with QrScp(tmp_path / "pacs") as pacs:
        pacs.fill(prior)
        bench.ask(**asked(pacs.port))
        bench.fetch_again()
    bench.again()
    assert bench.row(uid).prior.uid == prior.SOPInstanceUID


def test_a_prior_that_comes_after_the_time_limit_answers_the_film_again(bench):
    """A PACS may go on with a C-MOVE that was given up."""
    bench.ask(**asked(free_port(), "move"))
    uid = bench.take(CURRENT)
    bench.answer(uid)
    prior = film("20230101")
    with receiving(bench.stores, intake=bench.intake, moved_by="PACS") as receiver:
        assert store(port_of(receiver), prior, calling="PACS", originator="HILUM") == 0
    assert bench.again() == {again_job(uid, prior.SOPInstanceUID)}
    assert bench.row(uid).prior.uid == prior.SOPInstanceUID


def test_a_prior_that_comes_while_the_film_is_being_answered_is_not_missed(bench):
    uid, prior = bench.take(CURRENT), film("20230101")
    assert bench.answerer.read(uid)
    answer = bench.answerer.reader.answer

    def meanwhile(*arguments):
        bench.answerer.reader.answer = answer
        bring(bench, prior)
        return answer(*arguments)

    bench.answerer.reader.answer = meanwhile
    bench.answerer.write(uid)
    assert bench.row(uid).prior is None
    assert bench.again() == {again_job(uid, prior.SOPInstanceUID)}
    assert bench.row(uid).prior.uid == prior.SOPInstanceUID


def test_other_films_do_not_wait_for_a_pacs_of_which_nothing_is_heard(bench):
    with OddPacs(find=lambda _event: iter(())) as pacs:
        bench.ask(**asked(free_port()))
        bench.fetcher.fetch(bench.take(CURRENT))
        bench.fetcher.settings = bench.fetcher.settings.model_copy(update={"port": pacs.port})
        other = bench.take(film("20240102", patient_id="OTHER"))
        bench.fetcher.fetch(other)
        assert pacs.events == []
        assert fetch_job(other, 2) in jobs(bench)  # later it is asked for this film too
        bench.fetcher.fetch(other, 2)
        assert "C_FIND_RQ" in pacs.events
        events = len(pacs.events)
        bench.fetcher.fetch(bench.take(film("20240103", patient_id="THIRD")))
        assert len(pacs.events) > events  # it was heard again: nobody is spared


def test_whatever_a_pacs_does_the_film_is_answered(bench, monkeypatch):
    def broken(*_, **__):
        raise RuntimeError(f"quotes {PID}")

    monkeypatch.setattr("scp.pipeline.prior_fetch.fetch_priors", broken)
    bench.ask(**asked(1))
    with capture_logs() as lines:
        row = bench.answer(bench.take(CURRENT))
    assert row.state is FilmState.ANSWERED
    assert outcome(bench) == ("broken", 1)
    assert PID not in "".join(
        str(line) for line in lines if line["event"] != "priors not asked for"
    )


def test_an_id_that_may_match_others_is_not_asked_for_and_the_answer_says_so(bench):
    bench.ask(**asked(free_port()))
    row = bench.answer(bench.take(film("20240101", patient_id="A*B")))
    assert row.state is FilmState.ANSWERED
    assert "the Patient ID may match others" in notes(row)[0]
    assert outcome(bench) == ("no_patient_key", 1)
    assert bench.fetch_again() == set()


def test_how_fetching_goes_is_logged_and_counted_without_a_patient(bench):
    bench.ask(**asked(free_port()))
    with capture_logs() as lines:
        uid = bench.take(CURRENT)
        bench.answer(uid)
    (line,) = [line for line in lines if line["event"] == "priors not fetched"]
    assert (line["film"], line["outcome"], line["again_in_s"]) == (uid, "unreachable", 60)
    text = metrics(bench.stores.engine, bench.stores.archive, now()).decode()
    assert 'hilum_prior_fetches{outcome="unreachable"} 1.0' in text
    assert 'hilum_prior_fetches{outcome="done"} 0.0' in text
    assert "hilum_prior_fetches_failed_total 1.0" in text
    assert 'hilum_films{state="fetched"} 0.0' in text
    for said in (text, str(lines)):
        assert PID not in said


@pytest.mark.parametrize("outcome", [o for o in Outcome if o is not Outcome.DONE])
def test_every_failure_has_words_for_who_reads_the_answer(outcome):
    (note,) = not_fetched(outcome)
    assert note.sentence.isascii()
    assert note.sentence.startswith("Earlier films ")


def bring(bench, ds):
    """Take a film in as one that hilum asked for."""
    path = save(ds, bench.stores.archive.incoming / "fetched.dcm")
    bench.intake.ingest_prior(path, Request("PACS", ds.SOPClassUID, ds.SOPInstanceUID))
