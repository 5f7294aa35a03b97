"""What one sender may take of memory, disk and time; and that it is told when that is reached."""

import resource
import socket
import struct
import subprocess
import tracemalloc
from contextlib import contextmanager, suppress

import pytest
from network import (
    DEADLINE_S,
    associated,
    data_set,
    echo,
    film,
    open_stores,
    port_of,
    raw,
    receiving,
    save,
    store,
)
from peers import require_peer
from pydicom.uid import DigitalXRayImageStorageForPresentation as DX
from pydicom.uid import ExplicitVRLittleEndian as Explicit
from rawscu import command_set, pdu
from service import wait_for

from scp.archive import Archive
from scp.config.storage import ArchiveSettings
from scp.errors import OUT_OF_RESOURCES, SUCCESS, TOO_LARGE, ArchiveFull
from scp.outcomes.associations import Reason, Tally

PIECE = bytes(100_000)
UID = "1.2.3"


@pytest.fixture
def stores(tmp_path):
    with open_stores(tmp_path) as stores:
        yield stores


# --- PDUs and messages --------------------------------------------------------------------------

LARGE = {
    "a request of 2 GB": struct.pack(">BxL", 1, 2 << 30),
    "data of 2 GB before any request": struct.pack(">BxL", 4, 2 << 30),
    "data of 100 MB before any request": struct.pack(">BxL", 4, 100_000_000),
    "an abort of 1 MB": struct.pack(">BxL", 7, 1 << 20),
}


@pytest.mark.parametrize("head", LARGE.values(), ids=LARGE)
def test_a_large_pdu_before_an_association_is_aborted_before_it_is_read(stores, head):
    with receiving(stores, timeout_s=10 * DEADLINE_S) as receiver:
        with socket.create_connection(("127.0.0.1", port_of(receiver)), DEADLINE_S) as caller:
            caller.sendall(head)
            assert caller.recv(1) == b"\x07"
        wait_for(lambda: not receiver.open_associations, "the slot to be free", DEADLINE_S)


@pytest.mark.parametrize("length", [131_073, 100_000_000, 2 << 30, (4 << 30) - 1])
def test_a_pdu_above_our_maximum_is_aborted_before_it_is_read(stores, length):
    tally = Tally()
    with receiving(stores, tell=tally.add, timeout_s=10 * DEADLINE_S) as receiver:
        with raw(receiver) as peer:
            peer.send(struct.pack(">BxL", 4, length))
            assert peer.is_closed()
        wait_for(lambda: not receiver.open_associations, "the slot to be free", DEADLINE_S)
    (failed,) = tally.take()
    assert failed.reason is Reason.MALFORMED
    assert failed.detail == f"a PDU of type 4 and of {length} bytes; 131072 are allowed"


def test_a_pdu_of_our_maximum_is_taken(stores):
    ds = film()
    sent = data_set(ds)
    with receiving(stores) as receiver, raw(receiver) as peer:
        peer.begin_store(sent, ds.SOPInstanceUID)
        peer.go_on(b"", last=True)
        assert peer.status() == SUCCESS
        peer.pdv(bytes(131_072 - 6), 0x01)  # refused for what it is, not for its length


def endless(kind, peer):
    """Send pieces of one message that does not end, until the other side has had enough."""
    if kind == "identifier":
        find = {
            0x0002: b"1.2.840.10008.1.1",
            0x0100: struct.pack("<H", 0x0020),
            0x0110: struct.pack("<H", 7),
            0x0700: struct.pack("<H", 2),
            0x0800: struct.pack("<H", 1),
        }
        peer.pdv(command_set(find), 0x03, 3)
    with suppress(OSError):  # its end shows sooner or later
        for _ in range(10_000):
            peer.pdv(PIECE, 0x01 if kind == "command" else 0x00, 3)
        pytest.fail("a gigabyte was taken")


@pytest.mark.parametrize("kind", ["command", "identifier", "data before any command"])
def test_a_message_in_memory_that_does_not_end_is_aborted(stores, kind):
    tally = Tally()
    with receiving(stores, tell=tally.add) as receiver:
        tracemalloc.start()
        try:
            with raw(receiver) as peer:
                endless(kind, peer)
            wait_for(lambda: not receiver.open_associations, "the slot to be free", DEADLINE_S)
            assert tracemalloc.get_traced_memory()[1] < 32_000_000
        finally:
            tracemalloc.stop()
    (failed,) = tally.take()
    assert (failed.reason, "no C-STORE" in failed.detail) == (Reason.MALFORMED, True)


# --- objects ------------------------------------------------------------------------------------


def test_an_object_that_is_too_large_is_refused_after_it_was_sent_and_not_kept(stores):
    with receiving(stores, max_object_mb=1) as receiver, raw(receiver) as peer:
        peer.begin_store(PIECE, UID)
        for _ in range(8):
            peer.go_on(PIECE)
        wait_for(lambda: stores.files("incoming"), "the beginning", DEADLINE_S)
        for _ in range(8):
            peer.go_on(PIECE)
        wait_for(lambda: not stores.files("incoming"), "the half to be deleted", DEADLINE_S)
        peer.go_on(PIECE, last=True)
        assert peer.status() == TOO_LARGE
        assert store(port_of(receiver), film()) == SUCCESS
        assert peer.echo() == SUCCESS  # the association goes on
    assert stores.files("quarantine") == []


# --- a full disk --------------------------------------------------------------------------------


class FillingArchive(Archive):
    """An archive whose disk fills up when it is told to."""

    is_full = False

    def require_space(self):
        if self.is_full:
            raise ArchiveFull("full")


def test_a_disk_that_is_full_from_the_start_is_told_after_the_object_was_sent(tmp_path):
    archive = FillingArchive(tmp_path, ArchiveSettings(reserve_mb=0))
    archive.is_full = True
    with (
        open_stores(tmp_path, archive) as stores,
        receiving(stores) as receiver,
        raw(receiver) as peer,
    ):
        peer.begin_store(PIECE, UID)
        for _ in range(50):
            peer.go_on(PIECE)
        wait_for(lambda: not stores.files("incoming"), "nothing to be kept", DEADLINE_S)
        peer.go_on(b"", last=True)
        assert peer.status() == OUT_OF_RESOURCES
        archive.is_full = False
        ds = film()
        assert peer.store(data_set(ds), ds.SOPInstanceUID) == SUCCESS


def test_a_disk_that_fills_up_while_an_object_comes_is_told_and_the_half_deleted_at_once(tmp_path):
    archive = FillingArchive(tmp_path, ArchiveSettings(reserve_mb=0))
    with open_stores(tmp_path, archive) as stores, receiving(stores) as receiver:
        with raw(receiver) as peer:
            peer.begin_store(PIECE, UID)
            wait_for(lambda: stores.files("incoming"), "the beginning", DEADLINE_S)
            archive.is_full = True
            for _ in range(50):
                peer.go_on(PIECE)
            wait_for(lambda: not stores.files("incoming"), "the half to be deleted", DEADLINE_S)
            peer.go_on(b"", last=True)
            assert peer.status() == OUT_OF_RESOURCES
        assert stores.files("quarantine") == []


@contextmanager
def files_limited(size):
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def test_a_file_that_the_system_does_not_take_is_told_to_dcmtk_by_its_status(stores, tmp_path):
    ds = film()
    ds.PixelData = bytes(24_000_000)
    ds.Rows, ds.Columns = 3000, 4000
    path = save(ds, tmp_path / "sent" / "large.dcm")
    with receiving(stores) as receiver:
        command = [require_peer("storescu"), "-v", "-aec", "HILUM"]
        command += ["127.0.0.1", str(port_of(receiver)), str(path)]
        with files_limited(16_000_000):
            told = subprocess.run(
                command, capture_output=True, text=True, timeout=DEADLINE_S, check=False
            )
        assert "Refused: OutOfResources" in told.stderr + told.stdout
        assert stores.files("incoming") == stores.files("quarantine") == []
        subprocess.run(command, check=True, timeout=DEADLINE_S)


@pytest.fixture
def small_disk(tmp_path):
    """A file system of 8 MB."""
    folder = tmp_path / "small"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=8m", "tmpfs", str(folder)]
    done = subprocess.run(mount, capture_output=True, text=True, check=False)
    if done.returncode:
        pytest.skip(f"no file system can be mounted here: {done.stderr.strip()}")
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


def test_a_real_disk_that_is_full_refuses_with_a_status_and_takes_what_has_room(small_disk):
    ds = film()
    ds.PixelData = bytes(24_000_000)
    ds.Rows, ds.Columns = 3000, 4000
    with (
        open_stores(small_disk) as stores,
        receiving(stores) as receiver,
        associated(port_of(receiver), [(DX, [Explicit])]) as association,
    ):
        assert association.send_c_store(ds).Status == OUT_OF_RESOURCES
        assert stores.files("incoming") == stores.files("quarantine") == []
        assert association.send_c_store(film()).Status == SUCCESS


# --- what a broken association leaves -----------------------------------------------------------


@pytest.mark.parametrize("end", ["abort", "reset", "close"])
def test_an_association_that_ends_within_an_object_leaves_no_file(stores, end):
    with receiving(stores) as receiver:
        with raw(receiver) as peer:
            peer.begin_store(PIECE, UID)
            wait_for(lambda: stores.files("incoming"), "the beginning", DEADLINE_S)
            getattr(peer, end)()
        wait_for(lambda: not stores.files("incoming"), "the half to be deleted", DEADLINE_S)
        wait_for(lambda: not receiver.open_associations, "the slot to be free", DEADLINE_S)
        assert echo(port_of(receiver)) == SUCCESS


def malformed(change):
    command = {
        0x0002: DX.encode(),
        0x0100: struct.pack("<H", 0x0001),
        0x0110: struct.pack("<H", 7),
        0x0700: struct.pack("<H", 2),
        0x0800: struct.pack("<H", 1),
        0x1000: UID.encode(),
    }
    return command_set({tag: value for tag, value in (command | change).items() if value != b"-"})


COMMANDS = {
    "no SOP instance": {0x1000: b"-"},
    "no SOP class": {0x0002: b"-"},
    "no command": {0x0100: b"-"},
    "an unknown command": {0x0100: b"\x77\x77"},
    "a command of one byte": {0x0100: b"\x01"},
    "no message ID": {0x0110: b"-"},
    "a SOP instance that is none": {0x1000: b"\xff\xfe" * 40},
    "a move originator that is none": {0x1030: b"\xff" * 40, 0x1031: b"\1\2\3"},
    "a data set type of one byte": {0x0800: b"\x01"},
    "a priority of nine": {0x0700: b"\x09\0"},
    "a response to nothing": {0x0100: b"\x01\x80", 0x0120: b"\1\0", 0x0900: b"\0\0"},
}


@pytest.mark.parametrize("change", COMMANDS.values(), ids=COMMANDS)
def test_a_malformed_command_leaves_neither_file_nor_slot(stores, change):
    with receiving(stores, timeout_s=10 * DEADLINE_S) as receiver:
        with raw(receiver) as peer:
            peer.pdv(malformed(change), 0x03)
            peer.pdv(b"\x08\x00\x18\x00", 0x02)
            peer.send(pdu(5, bytes(4)))  # A-RELEASE-RQ, for those that are put up with
            peer.ended()
        wait_for(lambda: not receiver.open_associations, "the slot to be free", DEADLINE_S)
        wait_for(lambda: not stores.files("incoming"), "no file to be left", DEADLINE_S)
