"""The storage SCU against real destinations: good ones, picky ones, broken ones."""

import threading
from itertools import product
from time import monotonic

import pytest
from films import made_uid, make_film_ds
from network import DEADLINE_S, Pacs, data_set_bytes, mute, save, threads
from ports import free_port
from pydicom import dcmread
from pydicom.encaps import encapsulate
from pydicom.errors import InvalidDicomError
from pydicom.uid import (
    UID,
    Comprehensive3DSRStorage,
    DigitalXRayImageStorageForPresentation,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    JPEGLSLossless,
    RLELossless,
    SecondaryCaptureImageStorage,
)
from rawscp import ABORT, raw_scp, response
from service import StoreScp, wait_for

from scp.config.destinations import DestinationSettings
from scp.config.results import ResultKind
from scp.dimse.peers import TRANSFER_SYNTAXES
from scp.dimse.sender import echo, refused, send
from scp.outcomes.delivery import DELIVERED, Cause, Kind, Outcome
from scp.outcomes.sending import Object, Unreachable, describe
from scp.results.kinds import KINDS


def acceptance(items):
    """An A-ASSOCIATE-AC with these variable items (PS3.8 9.3.3)."""
    body = b"\0\1" + bytes(66) + items
    return b"\x02\0" + len(body).to_bytes(4, "big") + body


DX = DigitalXRayImageStorageForPresentation
SR = Comprehensive3DSRStorage
CAPTURE = SecondaryCaptureImageStorage


# pynetdicom lets go of a socket that was refused, and leaves its closing to the garbage collector
A_SOCKET_MAY_BE_LEFT = pytest.mark.filterwarnings("ignore:unclosed <socket:ResourceWarning")


OF_ANOTHER_REQUEST = [{"message_id": 99}, {"field": 0x8030}, {"context": 77}]


def to(port, **more):
    values = {"name": "pacs", "ae_title": "PACS", "host": "127.0.0.1", "port": port}
    return DestinationSettings(**values | {"timeout_s": DEADLINE_S} | more)


@pytest.fixture
def film_file(tmp_path):
    """Write films; the same arguments make the same object."""

    def write(**more):
        ds = make_film_ds(rows=16, columns=16, **more)
        return save(ds, tmp_path / "out" / f"{ds.SOPInstanceUID}.dcm")

    return write


def objects(*paths):
    return [describe(path) for path in paths]


@pytest.fixture
def report_file(tmp_path):
    """A file that says it is a report; nobody here looks inside."""
    ds = make_film_ds(rows=16, columns=16)
    ds.SOPClassUID = ds.file_meta.MediaStorageSOPClassUID = SR
    ds.SOPInstanceUID = ds.file_meta.MediaStorageSOPInstanceUID = made_uid("report")
    return save(ds, tmp_path / "out" / "report.dcm")


@pytest.fixture(autouse=True)
def _no_thread_stays():
    before = threads()
    yield
    wait_for(lambda: threads() <= before, "the sender's threads to end", DEADLINE_S)


def test_dcmtk_receives_every_object_as_it_was(film_file, report_file, tmp_path):
    sent = [film_file(sop_class=CAPTURE, seed=seed) for seed in range(2)] + [report_file]
    with StoreScp(tmp_path / "pacs") as pacs:
        answers = list(send(to(pacs.port), "HILUM", objects(*sent)))
        assert [answer.outcome.delivered for answer in answers] == [True] * 3
        uids = [str(dcmread(path).SOPInstanceUID) for path in sent]
        assert [answer.sop_instance_uid for answer in answers] == uids
        arrived = {str(dcmread(path).SOPInstanceUID): path for path in pacs.files()}
        for uid, path in zip(uids, sent, strict=True):
            assert dcmread(arrived[uid]) == dcmread(path)
            assert data_set_bytes(arrived[uid]) == data_set_bytes(path)


@pytest.mark.parametrize("syntax", [ImplicitVRLittleEndian, RLELossless, JPEGLSLossless])
def test_an_object_goes_out_in_its_own_transfer_syntax_byte_for_byte(film_file, syntax):
    path = film_file(transfer_syntax=syntax)
    with path.open("ab") as file:  # an element that stands out of order stays where it stands
        file.write(b"\x08\x00\x05\x10" + (b"\2\0\0\0" if syntax.is_implicit_VR else b"SH\2\0"))
        file.write(b"1 ")
    arrived = []

    def keep(_pacs, event):
        arrived.append((event.context.transfer_syntax, event.request.DataSet.getvalue()))
        return 0

    with Pacs([DX], keep) as pacs:
        (answer,) = send(to(pacs.port), "HILUM", objects(path))
    assert answer.outcome.delivered
    assert arrived == [(syntax, data_set_bytes(path))]


@pytest.mark.parametrize(
    ("status", "delivered"), [(0xA700, False), (0xC000, False), (0xB000, True), (0x0111, True)]
)
def test_the_status_of_each_object_is_told_and_says_whether_it_is_delivered(
    film_file, status, delivered
):
    paths = [film_file(seed=seed) for seed in range(3)]

    def refuse_the_second(pacs, _event):
        return status if len(pacs.received) == 2 else 0

    with Pacs([DX], refuse_the_second) as pacs:
        answers = list(send(to(pacs.port), "HILUM", objects(*paths)))
    assert [answer.outcome.delivered for answer in answers] == [True, delivered, True]
    assert answers[1].outcome == Outcome.of_status(status)


def test_what_a_destination_does_not_take_is_told_and_the_others_go(film_file, report_file):
    with Pacs([CAPTURE]) as pacs:
        capture = film_file(sop_class=CAPTURE)
        refused, taken = send(to(pacs.port), "HILUM", objects(report_file, capture))
    assert taken.outcome.delivered
    assert refused.outcome == Outcome.of(
        Cause.NOT_ACCEPTED, "Comprehensive 3D SR Storage as Explicit VR Little Endian"
    )


def test_a_destination_that_takes_nothing_of_it_is_not_said_to_be_silent(report_file):
    with Pacs([CAPTURE]) as pacs:
        (answer,) = send(to(pacs.port), "HILUM", objects(report_file))
    assert answer.outcome.cause is Cause.NOT_ACCEPTED


@pytest.mark.parametrize("syntax", [ExplicitVRLittleEndian, RLELossless, JPEGLSLossless])
def test_a_destination_of_implicit_vr_alone_gets_every_object_converted(
    film_file, tmp_path, syntax
):
    path = film_file(transfer_syntax=syntax)
    with StoreScp(tmp_path / "pacs", "+xi") as pacs:
        (answer,) = send(to(pacs.port), "HILUM", objects(path))
        assert answer.outcome == DELIVERED
        (arrived,) = pacs.files()
        got, sent = dcmread(arrived), dcmread(path)
    assert got.file_meta.TransferSyntaxUID == ImplicitVRLittleEndian
    assert got.SOPInstanceUID == sent.SOPInstanceUID
    assert (got.pixel_array == sent.pixel_array).all()
    del got.PixelData, sent.PixelData
    assert got == sent


def test_what_cannot_be_converted_is_told_and_the_others_go(film_file, tmp_path):
    broken, whole = film_file(seed=1, transfer_syntax=JPEGLSLossless), film_file(seed=2)
    ds = dcmread(broken)
    ds.PixelData = encapsulate([b"no JPEG-LS at all "])
    ds.save_as(broken, enforce_file_format=True)
    with StoreScp(tmp_path / "pacs", "+xi") as pacs:
        first, second = send(to(pacs.port), "HILUM", objects(broken, whole))
    assert first.outcome.cause is Cause.NOT_CONVERTED
    assert first.outcome.kind is Kind.PERMANENT
    assert "to Implicit VR Little Endian" in first.outcome.peer_text
    assert second.outcome == DELIVERED


def test_an_object_at_which_the_association_ends_does_not_keep_the_others_back(film_file):
    def abort_at_the_second(pacs, event):
        if len(pacs.received) == 2:
            event.assoc.abort()
        return 0

    started = monotonic()
    with Pacs([DX], abort_at_the_second) as pacs:
        sending = send(to(pacs.port), "HILUM", objects(*[film_file(seed=n) for n in range(3)]))
        assert next(sending).outcome.delivered
        assert next(sending).outcome.cause is Cause.ABORTED
        assert next(sending).outcome.delivered  # over an association of its own
        assert len(pacs.received) == 3
    assert monotonic() - started < DEADLINE_S / 2  # nobody waits for who has hung up


def test_a_destination_that_never_answers_is_given_up_after_its_timeout(film_file):
    answered = threading.Event()

    def never(_pacs, _event):
        answered.wait(DEADLINE_S)
        return 0

    with Pacs([DX], never) as pacs:
        started = monotonic()
        sending = send(to(pacs.port, timeout_s=0.5), "HILUM", objects(film_file()))
        assert next(sending).outcome.cause is Cause.TIMED_OUT
        assert monotonic() - started < DEADLINE_S / 2
        answered.set()
        sending.close()


@pytest.mark.parametrize(
    ("data", "cause"),
    [
        (b"", Cause.NO_ANSWER),
        (b"\x02\x00\x00", Cause.NO_ANSWER),
        (b"\x02\x00\x00\x00\x01\x00 half an answer", Cause.NO_ANSWER),
        (b"HTTP/1.1 400 Bad Request\r\n\r\n", Cause.NOT_UNDERSTOOD),
        (b"\x02\x00\x00\x00\x00\x04\xff\xff\xff\xff", Cause.NOT_UNDERSTOOD),
        (b"\x02\x00\xff\xff\xff\xff", Cause.NOT_UNDERSTOOD),
        (acceptance(b"\x21\x00\xff\xff"), Cause.NOT_UNDERSTOOD),
        (acceptance(b""), Cause.NOT_UNDERSTOOD),
        (b"\x03\x00\x00\x00\x00\x04\x00\x09\x09\x09", Cause.NOT_UNDERSTOOD),
        (b"\x04\x00\x00\x00\x00\x06\x00\x00\x00\x02\x01\x03", Cause.NOT_UNDERSTOOD),
        (b"\x07\x00\x00\x00\x00\x04\x00\x00\x00\x00", Cause.ABORTED),
        (b"\x03\x00\x00\x00\x00\x04\x00\x01\x01\x03", Cause.CALLING_TITLE_UNKNOWN),
        (b"\x03\x00\x00\x00\x00\x04\x00\x01\x01\x07", Cause.CALLED_TITLE_UNKNOWN),
        (b"\x03\x00\x00\x00\x00\x04\x00\x02\x03\x02", Cause.CONGESTED),
        (b"\x03\x00\x00\x00\x00\x04\x00\x01\x01\x01", Cause.REJECTED),
    ],
)
def test_whatever_a_destination_answers_to_an_association_request_is_told(film_file, data, cause):
    timeout_s = 0.5 if cause is Cause.NO_ANSWER else DEADLINE_S
    with mute(data) as port, pytest.raises(Unreachable) as told:
        list(send(to(port, timeout_s=timeout_s), "HILUM", objects(film_file())))
    assert told.value.outcome.cause is cause
    assert told.value.outcome.kind is Kind.TRANSIENT


@pytest.mark.parametrize("changed", OF_ANOTHER_REQUEST)
def test_a_response_to_another_request_delivers_nothing(film_file, changed):
    with raw_scp(lambda number, asked: response(number, asked, **changed)) as port:
        (answer,) = send(to(port), "HILUM", objects(film_file()))
    assert answer.outcome.cause is Cause.NOT_UNDERSTOOD
    assert answer.outcome.kind is Kind.TRANSIENT


def test_a_response_to_the_request_delivers_it(film_file):
    with raw_scp(response) as port:
        answers = list(send(to(port), "HILUM", objects(film_file(), film_file(seed=2))))
    assert [answer.outcome for answer in answers] == [DELIVERED] * 2


def test_a_destination_that_aborts_what_it_has_accepted_is_not_waited_for(film_file):
    started = monotonic()
    with raw_scp(response, after_acceptance=ABORT) as port:
        for _ in range(10):  # now before the request, now while it goes out
            try:
                (answer,) = send(to(port), "HILUM", objects(film_file()))
            except Unreachable as told:
                answer = told
            assert answer.outcome.cause is Cause.ABORTED
    assert monotonic() - started < DEADLINE_S / 2


@A_SOCKET_MAY_BE_LEFT
def test_a_destination_that_is_down_is_unreachable_and_delivered_to_when_back(film_file):
    port, items = free_port(), objects(film_file())
    with pytest.raises(Unreachable, match=f"PACS at 127.0.0.1:{port}: no connection"):
        list(send(to(port), "HILUM", items))
    with Pacs([DX]) as pacs:
        pacs.stop()
        pacs.start(port)
        assert [answer.outcome.delivered for answer in send(to(port), "HILUM", items)] == [True]


@pytest.mark.parametrize("host", ["no-such-host.invalid", "a" * 70, "..", "no such host"])
def test_a_host_that_is_not_there_is_unreachable_by_its_name(film_file, host):
    with pytest.raises(Unreachable, match="cannot be looked up"):
        list(send(to(104, host=host), "HILUM", objects(film_file())))
    with pytest.raises(Unreachable, match="cannot be looked up"):
        echo(to(104, host=host), "HILUM")


def test_a_destination_that_rejects_us_says_why(film_file):
    with Pacs([DX]) as pacs:
        pacs._ae.require_called_aet = True
        there = to(pacs.port, ae_title="OTHER")
        with pytest.raises(Unreachable, match="rejected: called AE title not"):
            list(send(there, "HILUM", objects(film_file())))


def test_ae_titles_may_hold_spaces(film_file):
    with Pacs([DX]) as pacs:
        there = to(pacs.port, ae_title=" MY PACS ")
        assert there.ae_title == "MY PACS"
        (answer,) = send(there, "MY HILUM", objects(film_file()))
    assert answer.outcome.delivered


@pytest.mark.parametrize("title", ["", " ", "A\\B", "PÄCS", "SEVENTEEN_LETTERS"])
def test_what_can_be_no_ae_title_is_refused_by_the_settings(title):
    with pytest.raises(ValueError, match="ae_title"):
        to(104, ae_title=title)


def test_more_kinds_than_one_association_can_carry_go_in_several(tmp_path):
    """PS3.8 9.3.2.2 numbers presentation contexts with the odd numbers up to 255."""
    numbers = ("1", "1.1", "1.1.1", "1.2", "1.2.1", "1.3", "2", "4", "7", "20", "128", "481.1")
    classes = [UID(f"1.2.840.10008.5.1.4.1.1.{number}") for number in numbers]
    syntaxes = [syntax for syntax in TRANSFER_SYNTAXES if syntax.is_encapsulated]
    items, ds = [], make_film_ds(rows=4, columns=4)
    del ds.PixelData
    for number, (sop_class, syntax) in enumerate(product(classes, syntaxes)):
        ds.file_meta.MediaStorageSOPClassUID = ds.SOPClassUID = sop_class
        ds.file_meta.MediaStorageSOPInstanceUID = ds.SOPInstanceUID = f"1.2.{number}"
        ds.file_meta.TransferSyntaxUID = syntax
        items.append(describe(save(ds, tmp_path / f"{number}.dcm")))
    assert len({(item.sop_class_uid, item.transfer_syntax_uid) for item in items}) == 132
    with Pacs(classes) as pacs:
        answers = list(send(to(pacs.port), "HILUM", items))
    assert [answer.outcome.delivered for answer in answers] == [True] * 132
    assert pacs.stored == [item.sop_instance_uid for item in items]


def test_nothing_to_send_asks_nobody():
    assert list(send(to(free_port()), "HILUM", [])) == []


def test_a_file_that_vanishes_while_others_go_is_told(film_file):
    first, second = film_file(seed=1), film_file(seed=2)
    items = objects(first, second)

    def unlink_the_next(_pacs, _event):
        second.unlink()
        return 0

    with Pacs([DX], unlink_the_next) as pacs:
        one, two = send(to(pacs.port), "HILUM", items)
    assert one.outcome.delivered
    assert not two.outcome.delivered
    assert two.outcome == Outcome.of(Cause.UNREADABLE, "No such file or directory")


@A_SOCKET_MAY_BE_LEFT
def test_echo_is_content_with_success_only(film_file):
    with Pacs([DX]) as pacs:
        echo(to(pacs.port), "HILUM")
        port = pacs.port
    with pytest.raises(Unreachable):
        echo(to(port), "HILUM")


def test_what_a_destination_does_not_take_can_be_asked_before_anything_is_sent():
    wanted = [(str(kind), str(ExplicitVRLittleEndian)) for kind in (CAPTURE, SR)]
    with Pacs([CAPTURE]) as pacs:
        assert refused(to(pacs.port), "HILUM", wanted) == wanted[1:]
    with Pacs([CAPTURE, SR]) as pacs:
        assert refused(to(pacs.port), "HILUM", wanted) == []


def test_what_can_be_converted_is_not_said_to_be_refused(tmp_path):
    wanted = [(str(CAPTURE), str(RLELossless)), (str(SR), str(ExplicitVRLittleEndian))]
    with StoreScp(tmp_path / "pacs", "+xi") as pacs:
        assert refused(to(pacs.port), "HILUM", wanted) == []


def test_a_destination_names_only_kinds_that_there_are():
    assert {kind.value for kind in ResultKind} == {kind.name for kind in KINDS}
    assert to(104, kinds=["report"]).kinds == (ResultKind.REPORT,)
    with pytest.raises(ValueError, match="presentation-state"):
        to(104, kinds=["reports"])


def test_a_file_is_described_by_its_meta_information(film_file):
    path = film_file(transfer_syntax=RLELossless)
    ds = dcmread(path)
    assert describe(path) == Object(path, ds.SOPClassUID, ds.SOPInstanceUID, RLELossless)


@pytest.mark.parametrize("keyword", ["MediaStorageSOPClassUID", "TransferSyntaxUID"])
def test_a_file_whose_meta_information_is_odd_cannot_be_sent(tmp_path, keyword):
    ds = make_film_ds(rows=4, columns=4)
    path = tmp_path / "odd.dcm"
    del ds.file_meta[keyword]
    ds.save_as(path, implicit_vr=False, little_endian=True)
    with pytest.raises(InvalidDicomError):
        describe(path)


@pytest.mark.parametrize("data", [b"", b"text", b"\0" * 128 + b"DICM" + b"\xff" * 40])
def test_another_file_cannot_be_sent(tmp_path, data):
    (tmp_path / "x").write_bytes(data)
    with pytest.raises(InvalidDicomError):
        describe(tmp_path / "x")


def test_a_missing_file_is_an_error_of_the_file_system(tmp_path):
    with pytest.raises(FileNotFoundError):
        describe(tmp_path / "gone.dcm")


def test_the_explicit_syntax_is_what_we_write(film_file):
    assert describe(film_file()).transfer_syntax_uid == ExplicitVRLittleEndian
