"""Bringing an answer to its destinations: each on its own, each object's fate written down."""

import io
from datetime import timedelta

import pytest
from films import made_uid, make_film_ds
from kept import keep_result
from network import DEADLINE_S, NOW, Pacs, open_stores, request_for, save
from ports import free_port
from pydicom import Dataset
from pydicom.uid import Comprehensive3DSRStorage, SecondaryCaptureImageStorage
from sqlalchemy.orm import Session
from structlog.testing import capture_logs

from scp.config.destinations import DestinationSettings
from scp.index import deliveries, films
from scp.index.deliveries import outcome_of
from scp.index.schema.tables import DeliveryState
from scp.outcomes import delivery
from scp.outcomes.delivery import Cause, Kind, Outcome
from scp.pipeline.delivery import Deliverer, wait_s
from scp.pipeline.destinations import destination_of
from scp.pipeline.job_ids import delivery_job

CAPTURE, SR = SecondaryCaptureImageStorage, Comprehensive3DSRStorage
PENDING, DELIVERED = DeliveryState.PENDING, DeliveryState.DELIVERED
DEAD, CANCELLED = DeliveryState.DEAD, DeliveryState.CANCELLED
# pynetdicom lets go of a socket that was refused, and leaves its closing to the garbage collector
pytestmark = pytest.mark.filterwarnings("ignore:unclosed <socket:ResourceWarning")


@pytest.fixture
def stores(tmp_path):
    with open_stores(tmp_path) as stores:
        yield stores


def destination(name, port, **more):
    values = {"name": name, "ae_title": "PACS", "host": "127.0.0.1", "port": port}
    return DestinationSettings(**values | {"timeout_s": DEADLINE_S} | more)


class Answer:
    """A film and three results of it that wait for their delivery."""

    kinds = (("heatmap", CAPTURE), ("report", SR), ("comparison", CAPTURE))

    def __init__(self, stores, *destinations):
        self.stores = stores
        self.destinations = {there.name: there for there in destinations}
        ds = make_film_ds(rows=16, columns=16)
        self.film_uid = str(ds.SOPInstanceUID)
        stores.intake.ingest(save(ds, stores.archive.incoming / "film.dcm"), request_for(ds))
        self.stored = [self._keep(kind, sop_class) for kind, sop_class in self.kinds]

    def _keep(self, kind, sop_class, job=1):
        ds = make_film_ds(rows=16, columns=16)
        ds.SOPClassUID = ds.file_meta.MediaStorageSOPClassUID = sop_class
        ds.SOPInstanceUID = ds.file_meta.MediaStorageSOPInstanceUID = made_uid(kind)
        data = io.BytesIO()
        ds.save_as(data, enforce_file_format=True)
        stores = self.stores
        stored = keep_result(
            stores.archive, data.getvalue(), ds.StudyInstanceUID, ds.SOPInstanceUID
        )
        with Session(stores.engine) as session, session.begin():
            films.save_result(
                session,
                films.film(session, self.film_uid),
                kind=kind,
                uid=ds.SOPInstanceUID,
                sop_class_uid=sop_class,
                stored=stored,
                destinations=dict.fromkeys(self.destinations, job),
                now=stores.clock(),
            )
        return stored

    def path(self, kind):
        return self.stores.archive.path(self.stored[[k for k, _ in self.kinds].index(kind)].path)

    def deliverer(self, jobs=None):
        stores = self.stores
        return Deliverer(
            stores.engine,
            stores.archive,
            jobs or stores.jobs,
            {name: destination_of(one, "HILUM") for name, one in self.destinations.items()},
            stores.clock,
        )

    def attempt(self, name="pacs", job=None):
        self.deliverer().attempt(self.film_uid, name, job)

    def again(self, kind="second report"):
        """Answer the film once more, as the worker does; return the number of the new job."""
        with Session(self.stores.engine) as session, session.begin():
            job = deliveries.next_job(session, self.film_uid, "pacs")
        self._keep(kind, SR, job)
        return job

    def rows(self, name="pacs"):
        return [row for row in self.stores.deliveries() if row.destination == name]

    def states(self, name="pacs"):
        return [row.state for row in self.rows(name)]

    def next_job(self, name="pacs", attempt=2):
        """Return the state of an attempt's job, None when there is none."""
        return self.stores.jobs_by_id().get(delivery_job(self.film_uid, name, attempt))


def test_all_objects_of_an_answer_are_delivered_and_each_is_written_down(stores):
    with Pacs([CAPTURE, SR]) as pacs:
        answer = Answer(stores, destination("pacs", pacs.port))
        answer.attempt()
    assert pacs.stored == [made_uid(kind) for kind, _ in Answer.kinds]
    for row in answer.rows():
        assert (row.state, row.attempts, outcome_of(row)) == (DELIVERED, 1, delivery.DELIVERED)
        assert (row.delivered_at, row.last_attempt_at, row.next_attempt_at) == (NOW, NOW, None)
    assert answer.next_job() is None


def test_a_destination_that_is_down_holds_up_no_other(stores):
    with Pacs([CAPTURE, SR]) as pacs:
        answer = Answer(stores, destination("pacs", pacs.port), destination("down", free_port()))
        answer.attempt("down")
        answer.attempt("pacs")
        assert len(pacs.stored) == 3
    assert answer.states("pacs") == [DELIVERED] * 3
    assert answer.states("down") == [PENDING] * 3
    assert {row.cause for row in answer.rows("down")} == {Cause.NO_CONNECTION}
    assert answer.next_job("pacs") is None
    assert answer.next_job("down") == "DELAYED"


def test_a_failed_attempt_is_tried_again_later_by_a_job_of_its_own(stores):
    answer = Answer(stores, destination("pacs", free_port(), first_retry_s=7))
    answer.attempt()
    for row in answer.rows():
        assert (row.attempts, row.last_attempt_at) == (1, NOW)
        assert row.next_attempt_at == NOW + timedelta(seconds=7)
    job = stores.jobs.status(delivery_job(answer.film_uid, "pacs", 2))
    assert job.status == "DELAYED"
    assert job.queue_name == "deliveries:pacs"
    answer.attempt()
    assert [row.attempts for row in answer.rows()] == [2] * 3
    assert answer.rows()[0].next_attempt_at == NOW + timedelta(seconds=14)
    assert answer.next_job(attempt=3) == "DELAYED"


def test_a_failure_and_the_next_attempts_job_are_written_together_or_not_at_all(stores):
    class Dying(type(stores.jobs)):
        """The queue of a worker that dies between the job and the commit."""

        def deliver(self, *args, **more):
            super().deliver(*args, **more)
            raise KeyboardInterrupt

    answer, dying = Answer(stores, destination("pacs", free_port())), Dying(stores.engine)
    with pytest.raises(KeyboardInterrupt):
        answer.deliverer(dying).attempt(answer.film_uid, "pacs")
    dying.close()
    assert [(row.attempts, row.cause) for row in answer.rows()] == [(0, "")] * 3
    assert answer.next_job() is None
    answer.attempt()  # the worker is back, and does its step again
    assert [row.attempts for row in answer.rows()] == [1] * 3
    assert answer.next_job() == "DELAYED"


def test_what_was_down_gets_everything_when_it_is_back(stores):
    port = free_port()
    answer = Answer(stores, destination("pacs", port))
    answer.attempt()
    with Pacs([CAPTURE, SR]) as pacs:
        pacs.stop()
        pacs.start(port)
        answer.attempt()
        assert len(pacs.stored) == 3
    assert answer.states() == [DELIVERED] * 3
    assert [(row.attempts, row.kind) for row in answer.rows()] == [(2, Kind.SUCCESS)] * 3


# what a PACS answers to one of three objects -> where it stands, what it is called, tried again?
STATUSES = [
    (0x0000, DELIVERED, "success", False),
    (0x0001, DELIVERED, "warning", False),
    (0x0107, DELIVERED, "warning", False),
    (0x0111, DELIVERED, "warning", False),
    (0x0116, DELIVERED, "warning", False),
    (0xB000, DELIVERED, "warning", False),
    (0xB006, DELIVERED, "warning", False),
    (0xB007, DELIVERED, "warning", False),
    (0xB123, DELIVERED, "warning", False),
    (0x0106, DEAD, "permanent", False),
    (0x0112, DEAD, "permanent", False),
    (0x0117, DEAD, "permanent", False),
    (0x0122, DEAD, "permanent", False),
    (0x0124, DEAD, "permanent", False),
    (0xA800, DEAD, "permanent", False),
    (0xA900, DEAD, "permanent", False),
    (0xA9FF, DEAD, "permanent", False),
    (0xC000, DEAD, "permanent", False),
    (0xC123, DEAD, "permanent", False),
    (0x0110, PENDING, "transient", True),
    (0x0213, PENDING, "transient", True),
    (0xA700, PENDING, "transient", True),
    (0xA7FF, PENDING, "transient", True),
    (0xFE00, PENDING, "transient", True),
    (0x7777, PENDING, "transient", True),
]


@pytest.mark.parametrize(("status", "state", "kind", "again"), STATUSES)
def test_a_status_decides_where_an_object_stands_and_whether_it_is_sent_again(
    stores, status, state, kind, again
):
    def answer_reports(_pacs, event):
        return status if event.context.abstract_syntax == SR else 0

    with Pacs([CAPTURE, SR], answer_reports) as pacs:
        answer = Answer(stores, destination("pacs", pacs.port))
        answer.attempt()
    assert answer.states() == [DELIVERED, state, DELIVERED]
    row = answer.rows()[1]
    assert (row.cause, row.kind, row.store_status) == ("status", kind, status)
    assert (row.delivered_at is not None) == (state is DELIVERED)
    assert (answer.next_job() == "DELAYED") == again


def test_only_what_may_go_better_another_time_is_sent_again(stores):
    answers = {"heatmap": 0xA700, "report": 0xC000, "comparison": 0}

    def answer_each(_pacs, event):
        kinds = {made_uid(kind): kind for kind in answers}
        return answers[kinds[event.request.AffectedSOPInstanceUID]]

    with Pacs([CAPTURE, SR], answer_each) as pacs:
        answer = Answer(stores, destination("pacs", pacs.port))
        answer.attempt()
        assert answer.states() == [PENDING, DEAD, DELIVERED]
        answers["heatmap"] = 0
        answer.attempt(job=2)
        assert answer.states() == [DELIVERED, DEAD, DELIVERED]
        assert pacs.received.count(made_uid("report")) == 1


def test_what_a_destination_says_of_a_refusal_is_shown_but_not_logged(stores):
    def complain(_pacs, _event):
        status = Dataset()
        status.Status, status.ErrorComment = 0xC000, "Doe^Jane is unknown here"
        return status

    with Pacs([CAPTURE, SR], complain) as pacs, capture_logs() as lines:
        answer = Answer(stores, destination("pacs", pacs.port))
        answer.attempt()
    assert all(row.peer_text == "Doe^Jane is unknown here" for row in answer.rows())
    (line,) = [line for line in lines if line["event"] == "delivery failed"]
    assert line["errors"] == ["0xC000"]
    assert "Doe" not in str(lines)


def test_a_destination_that_takes_no_reports_gets_the_captures(stores):
    with Pacs([CAPTURE]) as pacs:
        answer = Answer(stores, destination("pacs", pacs.port))
        answer.attempt()
        assert len(pacs.stored) == 2
    assert answer.states() == [DELIVERED, DEAD, DELIVERED]
    assert answer.rows()[1].cause == Cause.NOT_ACCEPTED
    assert "Comprehensive 3D SR" in answer.rows()[1].peer_text
    assert answer.next_job() is None


def test_an_object_at_which_the_association_ends_blocks_no_other(stores):
    def abort_at_the_report(_pacs, event):
        if event.context.abstract_syntax == SR:
            event.assoc.abort()
        return 0

    with Pacs([CAPTURE, SR], abort_at_the_report) as pacs:
        answer = Answer(stores, destination("pacs", pacs.port))
        for _ in range(2):  # more of them than are tried in one attempt, and before the capture
            answer.again("report that is not taken")
        answer.attempt()
        assert answer.states()[:3] == [DELIVERED, PENDING, DELIVERED]
        assert answer.rows()[1].cause == Cause.ABORTED


def test_what_was_not_reached_is_sent_first_the_next_time(stores):
    def abort_at_reports(_pacs, event):
        if event.context.abstract_syntax == SR:
            event.assoc.abort()
        return 0

    with Pacs([CAPTURE, SR], abort_at_reports) as pacs:
        answer = Answer(stores, destination("pacs", pacs.port))
        answer.kinds = ()
        ordered = [answer._keep(f"report {n}", SR) for n in range(3)]
        answer.stored += ordered
        answer._keep("last capture", CAPTURE)
        answer.attempt()
        assert answer.rows()[-1].cause == Cause.NOT_REACHED
        answer.attempt()
    assert answer.states()[-1] is DELIVERED


def test_after_a_kill_between_two_objects_only_the_undelivered_ones_are_sent_again(stores):
    class Killed(BaseException):
        """The end of the process."""

    with Pacs([CAPTURE, SR]) as pacs:
        answer = Answer(stores, destination("pacs", pacs.port))
        deliverer = answer.deliverer()

        def clock():
            if len(pacs.received) == 2:  # the second was answered, and not yet written down
                raise Killed
            return NOW

        deliverer.now = clock
        with pytest.raises(Killed):
            deliverer.attempt(answer.film_uid, "pacs")
        assert answer.states() == [DELIVERED, PENDING, PENDING]
        answer.attempt()
    assert pacs.received.count(made_uid("heatmap")) == 1
    assert pacs.received[2:] == [made_uid("report"), made_uid("comparison")]
    assert answer.states() == [DELIVERED] * 3


def test_a_result_file_that_vanished_is_stated_and_the_others_go(stores):
    with Pacs([CAPTURE, SR]) as pacs:
        answer = Answer(stores, destination("pacs", pacs.port))
        answer.path("heatmap").unlink()
        answer.path("report").write_bytes(b"overwritten")
        answer.attempt()
        assert pacs.stored == [made_uid("comparison")]
    assert answer.states() == [PENDING, PENDING, DELIVERED]
    assert outcome_of(answer.rows()[0]) == Outcome.of(Cause.UNREADABLE, "No such file or directory")
    assert outcome_of(answer.rows()[1]) == Outcome.of(Cause.NO_DICOM)
    assert answer.next_job() == "DELAYED"  # different errors, and one next attempt


def test_when_nothing_can_be_read_nobody_is_asked(stores):
    answer = Answer(stores, destination("pacs", free_port()))
    for kind, _ in Answer.kinds:
        answer.path(kind).unlink()
    answer.attempt()
    assert {row.cause for row in answer.rows()} == {Cause.UNREADABLE}


@pytest.mark.parametrize("host", ["no-such-host.invalid", "a" * 70])
def test_an_unknown_host_is_a_failed_attempt_like_any_other(stores, host):
    answer = Answer(stores, destination("pacs", 104, host=host))
    answer.attempt()
    assert {row.cause for row in answer.rows()} == {Cause.UNKNOWN_HOST}
    assert answer.next_job() == "DELAYED"


def test_an_attempt_with_nothing_left_to_do_asks_nobody_and_is_content(stores):
    """As after a kill between the last object and the end of its step."""
    with Pacs([CAPTURE, SR]) as pacs:
        answer = Answer(stores, destination("pacs", pacs.port))
        answer.attempt()
    with capture_logs() as lines:
        answer.attempt()
    assert lines == []
    assert answer.states() == [DELIVERED] * 3
    assert [row.attempts for row in answer.rows()] == [1] * 3


def test_a_destination_that_is_no_longer_configured_is_a_dead_letter_that_says_so(stores):
    answer = Answer(stores, destination("pacs", free_port()))
    answer.destinations.clear()
    answer.attempt()
    assert answer.states() == [DEAD] * 3
    assert {row.cause for row in answer.rows()} == {Cause.NOT_CONFIGURED}
    assert answer.rows()[0].next_attempt_at is None
    assert answer.next_job() is None


def test_after_its_last_hour_a_delivery_is_a_dead_letter_with_its_reason(stores):
    answer = Answer(stores, destination("pacs", free_port(), give_up_after_h=2))
    for attempt in range(2, 20):
        answer.attempt()
        assert (answer.states(), answer.next_job(attempt=attempt)) == ([PENDING] * 3, "DELAYED")
    stores.clock.forward(hours=2, seconds=1)
    answer.attempt()
    assert (answer.states(), answer.next_job(attempt=20)) == ([DEAD] * 3, None)
    assert {row.cause for row in answer.rows()} == {Cause.NO_CONNECTION}


def test_a_delivery_that_is_cancelled_while_it_is_tried_stays_cancelled(stores):
    def cancel(_pacs, _event):
        with Session(stores.engine) as session, session.begin():
            deliveries.set_state(session, answer.film_uid, "pacs", PENDING, CANCELLED)
        return 0xA700

    with Pacs([CAPTURE, SR], cancel) as pacs:
        answer = Answer(stores, destination("pacs", pacs.port))
        answer.attempt()
    assert answer.states() == [CANCELLED] * 3
    assert answer.next_job() is None
    assert {row.store_status for row in answer.rows()} == {0xA700}


@pytest.mark.parametrize(
    ("attempts", "seconds"),
    [(1, 5), (2, 10), (3, 20), (4, 40), (5, 80), (6, 160), (7, 300), (8, 300), (5000, 300)],
)
def test_each_wait_is_twice_as_long_up_to_the_longest(attempts, seconds):
    assert wait_s(destination("pacs", 104), attempts, timedelta()) == seconds


@pytest.mark.parametrize(
    ("hours", "seconds"), [(-98, 300), (71.9, 300), (72, 300), (72.1, None), (9999, None)]
)
def test_after_three_days_of_attempts_there_is_no_next_one(hours, seconds):
    assert wait_s(destination("pacs", 104), 500, timedelta(hours=hours)) == seconds


@pytest.mark.parametrize(("attempts", "seconds"), [(1, 5), (6, 160), (430, 300), (440, None)])
def test_a_clock_that_jumps_forward_makes_no_dead_letter_of_what_was_hardly_tried(
    attempts, seconds
):
    assert wait_s(destination("pacs", 104), attempts, timedelta(hours=98)) == seconds


def test_what_is_outstanding_is_in_the_order_in_which_it_was_made(stores):
    answer = Answer(stores, destination("pacs", free_port()))
    with Session(stores.engine) as session:
        waiting = deliveries.outstanding(session, answer.film_uid, "pacs")
        assert [item.path for item in waiting] == [stored.path for stored in answer.stored]
        assert deliveries.outstanding(session, answer.film_uid, "other") == []
        assert deliveries.outstanding(session, "1.2.3", "pacs") == []


def test_a_second_answer_is_delivered_by_a_job_of_its_own(stores):
    with Pacs([CAPTURE, SR]) as pacs:
        answer = Answer(stores, destination("pacs", pacs.port))
        second = answer.again()  # while the first still waits
        answer.attempt(job=1)
        assert pacs.stored == [made_uid(kind) for kind, _ in Answer.kinds]
        answer.attempt(job=second)
        assert pacs.stored[3:] == [made_uid("second report")]
        third = answer.again("third report")
        answer.attempt(job=third)
        assert pacs.stored[4:] == [made_uid("third report")]
    assert (second, third) == (2, 3)
    assert answer.states() == [DELIVERED] * 5


def test_a_second_answer_that_fails_is_tried_again_beside_the_first(stores):
    answer = Answer(stores, destination("pacs", free_port()))
    second = answer.again()
    answer.attempt(job=second)
    answer.attempt(job=1)
    assert [answer.next_job(attempt=n) for n in (2, 3, 4, 5)] == [None, "DELAYED", "DELAYED", None]
    assert [row.job for row in answer.rows()] == [4, 4, 4, 3]
    assert [row.attempts for row in answer.rows()] == [1] * 4
