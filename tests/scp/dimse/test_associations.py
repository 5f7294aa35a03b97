"""Associations that break off, fall silent, come by the hundred; stopping, and sharing a port."""

import gc
import os
import socket
import subprocess
import sys
import threading
from time import monotonic

import pytest
from network import (
    DEADLINE_S,
    data_set,
    echo,
    film,
    open_files,
    open_stores,
    port_of,
    raw,
    receiving,
    rejection,
    store,
    threads,
)
from pydicom.uid import DigitalXRayImageStorageForPresentation, ExplicitVRLittleEndian
from rawscu import RawScu
from service import wait_for

from scp.config.destinations import DestinationSettings
from scp.dimse.sender import echo as send_echo
from scp.errors import SUCCESS
from scp.processes.sockets import open_listener

DX = DigitalXRayImageStorageForPresentation
# pynetdicom's own, of a connection that it cannot go on with
A_THREAD_MAY_DIE = pytest.mark.filterwarnings(
    "ignore:Exception in thread:pytest.PytestUnhandledThreadExceptionWarning"
)


@pytest.fixture
def stores(tmp_path):
    with open_stores(tmp_path) as stores:
        yield stores


def test_echo_is_answered_while_another_association_is_in_the_middle_of_a_store(stores):
    ds = film()
    with receiving(stores) as receiver, raw(receiver) as peer:
        peer.begin_store(data_set(ds)[:500], ds.SOPInstanceUID)
        wait_for(lambda: stores.files("incoming"), "the film to begin", DEADLINE_S)
        assert echo(port_of(receiver)) == SUCCESS
        assert store(port_of(receiver), film(seed=5)) == SUCCESS
        peer.go_on(data_set(ds)[500:], last=True)
        assert peer.status() == SUCCESS
    assert len(stores.instances()) == 2


@pytest.mark.parametrize("how", ["abort", "close", "reset"])
def test_a_store_that_breaks_off_leaves_nothing(stores, how):
    ds = film()
    with receiving(stores) as receiver, raw(receiver) as peer:
        peer.begin_store(data_set(ds)[:500], ds.SOPInstanceUID)
        wait_for(lambda: stores.files("incoming"), "the film to begin", DEADLINE_S)
        getattr(peer, how)()
        wait_for(lambda: not stores.files("incoming"), "the half film to go", DEADLINE_S)
        assert (stores.instances(), stores.jobs_by_id(), stores.refused()) == ([], {}, [])
        assert store(port_of(receiver), ds) == SUCCESS


@pytest.mark.parametrize("data", [b"\x01\x00\x00", b"\x01\x00\x00\x00\x00\xff half"])
def test_a_caller_that_falls_silent_within_its_first_message_is_given_up(stores, data):
    before = threads()
    with receiving(stores, timeout_s=0.5) as receiver:
        with socket.create_connection(("127.0.0.1", port_of(receiver))) as caller:
            caller.sendall(data)
            wait_for(lambda: receiver.ae.active_associations, "the association", DEADLINE_S)
            wait_for(lambda: not receiver.ae.active_associations, "its end", DEADLINE_S)
        assert echo(port_of(receiver)) == SUCCESS
    wait_for(lambda: threads() <= before, "the threads to end", DEADLINE_S)


def test_a_sender_that_falls_silent_within_a_store_is_given_up_and_leaves_nothing(stores):
    ds = film()
    before = threads()
    with receiving(stores, timeout_s=0.5) as receiver, raw(receiver) as peer:
        peer.begin_store(data_set(ds)[:500], ds.SOPInstanceUID)
        peer.send(b"\x04\x00\x00\x00\x10\x00 not all of it")
        wait_for(lambda: not receiver.ae.active_associations, "its end", DEADLINE_S)
        assert stores.files("incoming") == []
    wait_for(lambda: threads() <= before, "the threads to end", DEADLINE_S)


@pytest.mark.parametrize(
    "junk",
    [
        b"GET / HTTP/1.1\r\nHost: x\r\n\r\n",
        b"\xff" * 40,
        b"\x01\x00\x00\x00\x00\x04\x00\x01\x00\x00",
        b"\x04\x00\x00\x00\x00\x06\x00\x00\x00\x02\x01\x03",
    ],
)
def test_what_is_no_dicom_at_all_does_no_harm(stores, junk):
    before = threads()
    with receiving(stores, timeout_s=1) as receiver:
        with socket.create_connection(("127.0.0.1", port_of(receiver))) as caller:
            caller.sendall(junk)
        wait_for(lambda: not receiver.ae.active_associations, "its end", DEADLINE_S)
        assert echo(port_of(receiver)) == SUCCESS
    wait_for(lambda: threads() <= before, "the threads to end", DEADLINE_S)


@pytest.mark.filterwarnings(
    "ignore:Exception in thread:pytest.PytestUnhandledThreadExceptionWarning"
)
def test_a_command_that_cannot_be_understood_ends_its_association_and_no_other(stores):
    with receiving(stores) as receiver, raw(receiver) as peer:
        peer.pdv(b"\xff" * 20, 0x03)
        assert peer.is_closed()
        assert echo(port_of(receiver)) == SUCCESS


@pytest.mark.filterwarnings(
    "ignore:Exception in thread:pytest.PytestUnhandledThreadExceptionWarning"
)
def test_a_disk_that_takes_no_file_any_more_ends_the_association_and_not_the_service(stores):
    with receiving(stores) as receiver:
        with raw(receiver) as peer:
            stores.archive.incoming.rmdir()
            peer.begin_store(b"data", "1.2.3")
            assert peer.is_closed()
        stores.archive.incoming.mkdir()
        assert store(port_of(receiver), film()) == SUCCESS


def test_a_hundred_associations_leave_no_thread_and_no_open_file(stores):
    with receiving(stores) as receiver:
        for _ in range(3):
            assert store(port_of(receiver), film()) == SUCCESS
        wait_for(lambda: not receiver.ae.active_associations, "the end", DEADLINE_S)
        gc.collect()
        before, files = len(threads()), open_files()
        for number in range(100):
            with raw(receiver) as peer:
                if number % 4 == 0:
                    assert peer.store(data_set(film()), film().SOPInstanceUID) == SUCCESS
                elif number % 4 == 1:
                    peer.begin_store(b"half", "1.2.3")
                elif number % 4 == 2:
                    peer.abort()
                else:
                    assert peer.echo() == SUCCESS
        wait_for(lambda: not receiver.ae.active_associations, "the end", DEADLINE_S)
        wait_for(lambda: len(threads()) <= before, "the threads to end", DEADLINE_S)
        gc.collect()
        assert open_files() <= files
    assert stores.files("incoming") == []


def test_more_associations_than_allowed_are_told_to_come_back(stores):
    with receiving(stores, max_associations=1) as receiver:
        with raw(receiver):
            assert rejection(port_of(receiver), contexts=[(DX, [ExplicitVRLittleEndian])]) == (
                2,
                3,
                2,
            )
        wait_for(lambda: not receiver.ae.active_associations, "the end", DEADLINE_S)
        assert echo(port_of(receiver)) == SUCCESS


# --- stopping, and two on one port --------------------------------------------------------------


def test_stopping_lets_an_open_association_finish_and_then_refuses_new_ones(stores):
    ds = film()
    with receiving(stores) as receiver:
        port, peer = port_of(receiver), RawScu(port_of(receiver), DX, ExplicitVRLittleEndian)
        peer.begin_store(data_set(ds)[:500], ds.SOPInstanceUID)

        def finish(done):
            with pytest.raises(OSError, match="refused"):
                socket.create_connection(("127.0.0.1", port), timeout=DEADLINE_S)
            peer.go_on(data_set(ds)[500:], last=True)
            assert peer.status() == SUCCESS
            peer.release()
            wait_for(done, "the association to end", DEADLINE_S)
            return True

        receiver.stop(finish)
        receiver.stop = lambda _wait: None  # the fixture need not stop it again
        assert not receiver.ae.active_associations
    assert len(stores.instances()) == 1


def test_stopping_does_not_wait_for_peers_that_will_not_end(stores):
    before = threads()
    with receiving(stores, timeout_s=6) as receiver, raw(receiver) as peer:
        port = port_of(receiver)
        with socket.create_connection(("127.0.0.1", port)) as mute:
            mute.sendall(b"\x01\x00\x00")
            peer.send(b"\x04\x00\x00\x00\x10\x00 not all of it")
            assert echo(port) == SUCCESS
            wait_for(lambda: len(receiver.ae.active_associations) == 2, "both", DEADLINE_S)
            started = monotonic()
            receiver.stop(lambda _done: False)
            assert monotonic() - started < 4  # of the 10 s in which the service must stop
        receiver.stop = lambda _wait: None
    wait_for(lambda: threads() <= before, "the threads to end", DEADLINE_S)


def test_a_receiver_does_not_wait_for_a_connection_that_another_one_took(stores):
    with receiving(stores) as receiver:
        assert not receiver.servers[0].socket.getblocking()


def test_two_receivers_share_a_port_and_one_goes_on_when_the_other_stops(stores):
    listening = open_listener("127.0.0.1", 0)
    port = listening.getsockname()[1]
    with (
        receiving(stores, listening=listening.dup()) as one,
        receiving(stores, listening=listening.dup()) as two,
    ):
        listening.close()
        peers = [RawScu(port, DX, ExplicitVRLittleEndian) for _ in range(40)]
        shares = [len(receiver.ae.active_associations) for receiver in (one, two)]
        assert sum(shares) == 40
        assert all(peer.echo() == SUCCESS for peer in peers)
        for peer in peers:
            peer.release()
        one.servers[0].shutdown()
        assert [store(port, film(seed=seed)) for seed in range(4)] == [SUCCESS] * 4
        one.stop = lambda _wait: None
    assert len(stores.instances()) == 4


def test_two_receiver_processes_take_films_from_one_port(stores, tmp_path):
    listening = open_listener("127.0.0.1", 0)
    port = listening.getsockname()[1]
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", RECEIVER_PROCESS, tmp_path, str(listening.fileno())],
            pass_fds=[listening.fileno()],
            env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)},
        )
        for _ in range(2)
    ]
    try:
        listening.close()
        outcomes = []
        senders = [
            threading.Thread(target=lambda n=n: outcomes.append(store(port, film(seed=n))))
            for n in range(8)
        ]
        for sender in senders:
            sender.start()
        for sender in senders:
            sender.join(DEADLINE_S)
        assert outcomes == [SUCCESS] * 8
    finally:
        for process in processes:
            process.kill()
            process.wait()
    assert len(stores.instances()) == len(stores.jobs_by_id()) == 8


RECEIVER_PROCESS = """
import socket, sys
from pathlib import Path
from network import open_stores
from scp.config.network import ReceiverSettings
from scp.dimse.receiver import Receiver
with open_stores(Path(sys.argv[1])) as stores:
    listening = socket.socket(fileno=int(sys.argv[2]))
    Receiver(
        ReceiverSettings(),
        stores.intake.ingest,
        listening,
        stores.archive.incoming,
        secondary_captures=False,
    ).serve()
"""


def test_the_listener_takes_a_free_port_and_refuses_a_taken_one():
    with open_listener("127.0.0.1", 0) as listening, pytest.raises(OSError, match="in use"):
        open_listener("127.0.0.1", listening.getsockname()[1])


def test_small_answers_are_sent_at_once():
    with (
        open_listener("127.0.0.1", 0) as listening,
        socket.create_connection(listening.getsockname()),
        listening.accept()[0] as accepted,
    ):
        assert accepted.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)


@pytest.mark.parametrize("host", ["::1", "::", "localhost"])
def test_the_listener_and_the_sender_speak_either_family(stores, host):
    if not has_ipv6():
        pytest.skip("this machine has no IPv6 loopback")
    with receiving(stores, listening=open_listener(host, 0)) as receiver:
        port = port_of(receiver)
        for address in {"::1": ["::1"], "::": ["::1", "127.0.0.1"]}.get(host, ["localhost"]):
            there = DestinationSettings(name="h", ae_title="HILUM", host=address, port=port)
            send_echo(there, "XRAY1")


def has_ipv6():
    try:
        with socket.create_server(("::1", 0), family=socket.AF_INET6):
            return True
    except OSError:
        return False
