"""What becomes of association requests as real senders make them: odd, broken, from strangers."""

import socket
import struct
from datetime import timedelta

import pytest
from network import DEADLINE_S, NOW, associated, echo, film, open_stores, port_of, receiving, store
from pydicom.uid import CTImageStorage, DigitalXRayImageStorageForPresentation
from pydicom.uid import ExplicitVRLittleEndian as Explicit
from pynetdicom.sop_class import Verification
from rawscu import RawScu, context, item, pdu
from service import wait_for
from sqlalchemy.orm import Session
from structlog.testing import capture_logs

from scp.dimse.negotiation import MalformedPDU, ae_title, read_negotiation
from scp.errors import SUCCESS
from scp.index.associations import failed_by_reason, latest_failed, save_failed
from scp.outcomes.associations import FailedAssociation, Reason, Tally

DX = DigitalXRayImageStorageForPresentation
LENGTH = item(0x51, struct.pack(">L", 1 << 16))
CLASS = item(0x52, b"1.2.3")
BOTH = LENGTH + CLASS
PATIENT = {"timeout_s": 10 * DEADLINE_S, "max_associations": 1}


@pytest.fixture
def stores(tmp_path):
    with open_stores(tmp_path) as stores:
        yield stores


DICOM = b"1.2.840.10008.3.1.1.1"  # the application context (PS3.7 A.2.1)


def request(
    called=b"HILUM", calling=b"RAW", version=1, contexts=None, user=BOTH, more=b"", name=DICOM
):
    """An A-ASSOCIATE-RQ; None leaves the user information out."""
    head = struct.pack(">HH16s16s32x", version, 0, called.ljust(16), calling.ljust(16))
    items = b"" if name is None else item(0x10, name)
    items += contexts or context(1, Verification, Explicit)
    items += b"" if user is None else item(0x50, user)
    return pdu(1, head + items + more)


# what DCMTK and Orthanc put up with -> the request, and the context in which C-ECHO is then sent
ODD = {
    "called AE title padded with NUL": ({"called": b"HILUM".ljust(16, b"\0")}, 1),
    "called AE title with rubbish after NUL": ({"called": b"HILUM\0\x07\xfeabc"}, 1),
    "called AE title padded with control characters": ({"called": b"HILUM\r\n\t\x01"}, 1),
    "called AE title padded in Latin-1": ({"called": b"HILUM".ljust(16, b"\xa0")}, 1),
    "calling AE title in Latin-1": ({"calling": b"R\xd6NTGEN"}, 1),
    "calling AE title of NUL alone": ({"calling": bytes(16)}, 1),
    "implementation version name of 40 letters": (
        {"user": BOTH + item(0x55, b"V" * 40)},
        1,
    ),
    "implementation version name in Latin-1": ({"user": BOTH + item(0x55, b"V\xe9")}, 1),
    "empty implementation version name": ({"user": BOTH + item(0x55, b"")}, 1),
    "unknown user information": ({"user": BOTH + item(0x5F, b"what")}, 1),
    "user identity that cannot be read": ({"user": BOTH + item(0x58, b"\x09")}, 1),
    "role selection that cannot be read": ({"user": LENGTH + item(0x54, b"\0\xff") + CLASS}, 1),
    "no Maximum Length": ({"user": CLASS}, 1),
    "a Maximum Length of one byte": ({"user": item(0x51, b"\0\0\0\1") + CLASS}, 1),
    "a Maximum Length that cannot be read": ({"user": item(0x51, b"\0\1") + CLASS}, 1),
    "no implementation class UID": ({"user": LENGTH}, 1),
    "no user information": ({"user": None}, 1),
    "no application context": ({"name": None}, 1),
    "another application context": ({"name": b"1.2.3"}, 1),
    "an unknown item": ({"more": item(0x60, b"what")}, 1),
    "NUL after the last item": ({"more": bytes(7)}, 1),
    "more protocol versions than one": ({"version": 3}, 1),
    "even presentation context ID": ({"contexts": context(2, Verification, Explicit)}, 2),
    "presentation context ID of zero": ({"contexts": context(0, Verification, Explicit)}, 0),
    "even and odd IDs": (
        {"contexts": context(1, CTImageStorage, Explicit) + context(2, Verification, Explicit)},
        2,
    ),
    "UIDs with NUL at the end": (
        {"contexts": context(1, Verification + "\0", Explicit + "\0\0")},
        1,
    ),
    "an abstract syntax with leading zeros": (
        {"contexts": context(1, "1.2.840.010008.01.1", Explicit)},
        1,
    ),
    "a transfer syntax with leading zeros beside a known one": (
        {"contexts": context(1, Verification, "1.2.0840.010008.1", Explicit)},
        1,
    ),
}


@pytest.mark.parametrize("how", ODD)
def test_an_odd_request_is_taken_as_dcmtk_and_orthanc_take_it(stores, how):
    fields, number = ODD[how]
    tally = Tally()
    with receiving(stores, tell=tally.add) as receiver, capture_logs() as lines:
        peer = RawScu.on(port_of(receiver), request(**fields))
        assert peer.echo(number) == SUCCESS
        peer.release()
    assert tally.take() == {}
    said = [line for line in lines if line["event"] == "odd association request"]
    assert bool(said) == (how not in UNREMARKABLE)


UNREMARKABLE = {
    "no implementation class UID",
    "NUL after the last item",
    "a transfer syntax with leading zeros beside a known one",
}

# what no kindness makes readable -> the bytes, and what is said of them
BROKEN = {
    "a browser": (b"GET / HTTP/1.1\r\nHost: x\r\n\r\n", "not DICOM"),
    "noise": (b"\xff" * 40, "not DICOM"),
    "data before any request": (b"\x04\0\0\0\0\x06\0\0\0\x02\x01\x03", "unexpected PDU"),
    "a release before any request": (b"\x05\0\0\0\0\x04\0\0\0\0", "unexpected PDU"),
    "a PDU of four gigabytes": (b"\x01\0\xff\xff\xff\xff\0\x01", "of 4294967295 bytes"),
    "a request without items": (pdu(1, b"\0\1\0\0"), "ends before its items"),
    "an item longer than the request": (
        request(more=b"\x20\0\xff\xff"),
        "longer than what holds it",
    ),
    "another protocol version": (request(version=2), "not version 1"),
    "half an item": (request(more=b"\x20\0\xff"), "cut short"),
    "a context without transfer syntaxes": (
        request(contexts=context(1, Verification)),
        "without its syntaxes",
    ),
    "a context without anything": (request(contexts=item(0x20, b"\1")), "cut short"),
}


@pytest.mark.parametrize("how", BROKEN)
def test_a_broken_request_is_aborted_at_once_and_frees_its_slot(stores, how):
    data, detail = BROKEN[how]
    tally = Tally()
    with receiving(stores, tell=tally.add, **PATIENT) as receiver:
        for _ in range(2):
            with socket.create_connection(("127.0.0.1", port_of(receiver)), DEADLINE_S) as caller:
                caller.sendall(data)
                assert caller.recv(1) == b"\x07"  # A-ABORT
            wait_for(lambda: not receiver.open_associations, "the slot to be free", DEADLINE_S)
        assert echo(port_of(receiver)) == SUCCESS
    ((failed, number),) = tally.take().items()
    assert (failed.reason, failed.address, number) == (Reason.MALFORMED, "127.0.0.1", 2)
    assert detail in failed.detail


def test_a_look_at_the_port_is_nothing_and_frees_its_slot(stores):
    tally = Tally()
    with receiving(stores, tell=tally.add, **PATIENT) as receiver:
        socket.create_connection(("127.0.0.1", port_of(receiver)), DEADLINE_S).close()
        wait_for(lambda: echo(port_of(receiver)) == SUCCESS, "the slot to be free", DEADLINE_S)
    assert {failed.reason for failed in tally.take()} <= {Reason.LOCAL_LIMIT}  # of our own haste


PEER = {"ae_title": "XRAY1", "host": "127.0.0.1"}
ELSEWHERE = {"ae_title": "XRAY2", "host": "192.0.2.7"}


def test_each_association_that_comes_to_nothing_is_told_once_with_who_whom_where_and_why(stores):
    tally = Tally()
    peers = [PEER, ELSEWHERE]
    with receiving(stores, tell=tally.add, peers=peers) as receiver, capture_logs() as lines:
        port = port_of(receiver)
        assert echo(port, called="HILLUM") is None
        assert echo(port, calling="STRANGER") is None
        with associated(port, [(CTImageStorage, [Explicit])]):
            pass
        RawScu.on(port, request(calling=b"XRAY1")).abort()
        wait_for(lambda: not receiver.open_associations, "the end of all", DEADLINE_S)
        RawScu.on(port, request(calling=b"XRAY1")).reset()
        wait_for(lambda: not receiver.open_associations, "the end of all", DEADLINE_S)
        assert store(port, film()) == SUCCESS
    told = tally.take()
    expected = [
        (Reason.WRONG_CALLED_TITLE, "XRAY1", "HILLUM", "we are HILUM"),
        (Reason.UNKNOWN_CALLER, "STRANGER", "HILUM", "a peer has this address"),
        (Reason.NO_COMMON_CONTEXT, "XRAY1", "HILUM", "CT Image Storage not taken"),
        (Reason.ABORTED, "XRAY1", "HILUM", "sent A-ABORT"),
        (Reason.BROKEN, "XRAY1", "HILUM", "closed the connection"),
    ]
    found = {f.reason: (f.calling_ae_title, f.called_ae_title, f.detail) for f in told}
    assert set(found) == {reason for reason, *_ in expected}
    for reason, calling, called, detail in expected:
        assert found[reason][:2] == (calling, called)
        assert detail in found[reason][2]
    assert set(told.values()) == {1}
    assert sum(line["event"] == "association failed" for line in lines) == len(expected)


def test_a_known_title_at_another_address_is_told_where_it_is_entered(stores):
    tally = Tally()
    with receiving(stores, tell=tally.add, peers=[ELSEWHERE]) as receiver:
        assert echo(port_of(receiver), calling="XRAY2") is None
    (failed,) = tally.take()
    assert failed.reason is Reason.UNKNOWN_CALLER
    assert failed.detail == "no peer has this address; XRAY2 is entered with host 192.0.2.7"


def test_titles_that_differ_in_case_only_are_rejected_and_the_reason_says_so(stores):
    tally = Tally()
    with receiving(stores, tell=tally.add, peers=[PEER]) as receiver:
        assert echo(port_of(receiver), called="hilum") is None
        assert echo(port_of(receiver), calling="xray1") is None
    told = {failed.reason: failed.detail for failed in tally.take()}
    assert told == {
        Reason.WRONG_CALLED_TITLE: "we are HILUM; HILUM differs in upper and lower case only",
        Reason.UNKNOWN_CALLER: "a peer has this address, under another AE title; XRAY1 differs in "
        "upper and lower case only",
    }


def test_all_that_is_wrong_with_the_titles_of_a_request_is_told_at_once(stores):
    tally = Tally()
    with receiving(stores, tell=tally.add, peers=[PEER, ELSEWHERE]) as receiver:
        assert echo(port_of(receiver), calling="STRANGER", called="HILLUM") is None
        assert echo(port_of(receiver), calling="XRAY2") is None
    told = {failed.calling_ae_title: failed.detail for failed in tally.take()}
    at = "a peer has this address, under another AE title"
    assert told == {
        "STRANGER": f"{at}; and it calls HILLUM, but we are HILUM",
        "XRAY2": f"{at}; XRAY2 is entered with host 192.0.2.7",
    }


def test_callers_from_strange_addresses_hold_no_slot_that_a_sender_needs(stores):
    tally = Tally()
    with receiving(stores, tell=tally.add, peers=[PEER], max_associations=1) as receiver:
        port = port_of(receiver)
        strangers = [
            socket.create_connection(("127.0.0.1", port), DEADLINE_S, ("127.0.0.2", 0))
            for _ in range(55)
        ]
        for stranger in strangers[:40]:
            stranger.sendall(b"\x01\0\0\0\0\x60\0\1 half a request")
        assert echo(port) == SUCCESS
        assert store(port, film()) == SUCCESS
        for stranger in strangers:
            stranger.close()
    assert {f.reason for f in tally.take()} <= {Reason.UNKNOWN_CALLER}


def test_a_stranger_who_speaks_no_dicom_is_aborted_at_once(stores):
    tally = Tally()
    with receiving(stores, tell=tally.add, peers=[PEER]) as receiver:
        where = ("127.0.0.1", port_of(receiver))
        with socket.create_connection(where, DEADLINE_S, ("127.0.0.2", 0)) as stranger:
            stranger.sendall(b"GET / HTTP/1.1\r\n\r\n")
            assert stranger.recv(1) == b"\x07"
        ((failed, _),) = wait_for(tally.take, "the line", DEADLINE_S).items()
    assert failed.reason is Reason.UNKNOWN_CALLER


def test_a_request_that_is_cut_short_tells_who_sent_it(stores):
    tally = Tally()
    with receiving(stores, tell=tally.add) as receiver:
        with socket.create_connection(("127.0.0.1", port_of(receiver)), DEADLINE_S) as caller:
            caller.sendall(request()[:-5])
        ((failed, _),) = wait_for(tally.take, "the line", DEADLINE_S).items()
    assert (failed.reason, failed.calling_ae_title) == (Reason.BROKEN, "RAW")
    assert "the request is cut short: " in failed.detail


def test_of_many_contexts_that_are_not_taken_the_first_are_told(stores):
    tally = Tally()
    classes = [f"1.2.840.10008.5.1.4.1.1.{n}.77" for n in range(30)]
    contexts = b"".join(context(2 * n + 1, uid, Explicit) for n, uid in enumerate(classes))
    with receiving(stores, tell=tally.add) as receiver:
        RawScu.on(port_of(receiver), request(contexts=contexts)).release()
    ((failed, _),) = tally.take().items()
    assert failed.detail.endswith("1.3.77 not taken; and 26 more")


def test_one_association_too_many_is_told(stores):
    tally = Tally()
    with receiving(stores, tell=tally.add, max_associations=1) as receiver:
        peer = RawScu.on(port_of(receiver), request(contexts=context(1, DX, Explicit)))
        with associated(port_of(receiver), [(DX, [Explicit])]) as association:
            assert association.is_rejected
        peer.release()
    ((failed, number),) = tally.take().items()
    assert (failed.reason, number) == (Reason.LOCAL_LIMIT, 1)


# --- what is kept of them -----------------------------------------------------------------------


def test_failed_associations_are_summed_up_by_kind_and_their_sums_never_fall(stores):
    def one(number):
        return FailedAssociation(Reason.UNKNOWN_CALLER, f"AE{number}", "HILUM", "10.0.0.9")

    with Session(stores.engine) as session, session.begin():
        for minute in range(2):
            save_failed(session, {one(1): 3}, NOW + timedelta(minutes=minute))
        save_failed(session, {one(n): 1 for n in range(2, 600)}, NOW + timedelta(minutes=5))
        kept = latest_failed(session, 1000)
        assert len(kept) == 501
        assert failed_by_reason(session) == {"unknown-caller": 6 + 598}
        others = [row for row in kept if not row.failed.address]
        assert [row.number for row in others] == [6 + 98]


def test_a_flood_between_two_heartbeats_is_counted_by_reason():
    tally = Tally()
    for number in range(1000):
        tally.add(FailedAssociation(Reason.MALFORMED, f"AE{number}", "", "10.0.0.9"))
    counted = tally.take()
    assert len(counted) <= 201
    assert sum(counted.values()) == 1000


@pytest.mark.parametrize(
    ("value", "title"),
    [
        (b"HILUM           ", "HILUM"),
        (b"  MY PACS\0\0rest", "MY PACS"),
        (b"\xa0A\\B\xff", "A?B"),
        (bytes(16), ""),
    ],
)
def test_an_ae_title_is_what_is_left_without_its_padding(value, title):
    assert ae_title(value) == title


def test_more_contexts_than_there_are_odd_numbers_cannot_be_put_right():
    contexts = b"".join(context(n % 256, Verification, Explicit) for n in range(256))
    with pytest.raises(MalformedPDU, match="more presentation contexts"):
        read_negotiation(request(contexts=contexts))
