"""Nobody keeps others out: neither by silence, nor byte by byte, nor by asking often."""

import socket
import threading
from contextlib import ExitStack, suppress

import pytest
from network import (
    DEADLINE_S,
    associated,
    echo,
    film,
    open_stores,
    port_of,
    raw,
    receiving,
    rejection,
    store,
)
from pydicom.uid import DigitalXRayImageStorageForPresentation as DX
from pydicom.uid import ExplicitVRLittleEndian as Explicit
from rawscu import RawScu
from service import wait_for

from scp.config.network import Peer, ReceiverSettings
from scp.errors import SUCCESS
from scp.outcomes.associations import Reason, Tally

STORAGE = [(DX, [Explicit])]
LONG = {"timeout_s": 10 * DEADLINE_S}
HERE = [{"ae_title": name, "host": "127.0.0.1"} for name in ("XRAY1", "XRAY2")]
PEERS = [*HERE, {"ae_title": "XRAY3", "host": "127.0.0.3"}]


@pytest.fixture
def stores(tmp_path):
    with open_stores(tmp_path) as stores:
        yield stores


def test_connections_that_ask_for_nothing_lock_nobody_out(stores):
    with receiving(stores, max_associations=1, **LONG) as receiver, ExitStack() as silent:
        port = port_of(receiver)
        for number in range(60):
            caller = socket.create_connection(("127.0.0.1", port), DEADLINE_S)
            silent.enter_context(caller)
            if number % 2:
                caller.sendall(b"\x01\0\0\0\0\x60\0\1 half a request")
        assert echo(port) == SUCCESS
        assert store(port, film()) == SUCCESS
        wait_for(lambda: receiver.open_associations <= 20, "the oldest to be hung up", DEADLINE_S)
        assert receiver.slots_in_use == 0


def test_a_storm_of_associations_leaves_room_for_echo(stores):
    with receiving(stores, max_associations=3, **LONG) as receiver, ExitStack() as taken:
        for _ in range(3):
            taken.enter_context(raw(receiver))
        assert receiver.slots_in_use == 3
        assert echo(port_of(receiver)) == SUCCESS
        assert rejection(port_of(receiver), STORAGE) == (2, 3, 2)


def test_one_peer_leaves_room_for_another(stores):
    tally = Tally()
    settings = {"max_associations": 4, "peers": PEERS, **LONG}
    with receiving(stores, tell=tally.add, **settings) as receiver, ExitStack() as taken:
        port = port_of(receiver)
        for title in ("XRAY1", "XRAY1", "XRAY2"):  # three of one host
            taken.enter_context(associated(port, STORAGE, calling=title))
        assert receiver.slots_in_use == 3
        assert rejection(port, STORAGE, calling="XRAY2") == (2, 3, 2)
        RawScu(port, DX, Explicit, calling="XRAY3", address="127.0.0.3").release()
    (failed,) = tally.take()
    assert failed.reason is Reason.LOCAL_LIMIT
    assert failed.detail == "3 at once from one AE title or address in one process"


def test_the_room_of_one_peer_is_all_there_is_where_it_is_alone():
    def each(*titles, **more):
        peers = tuple(Peer(ae_title=title, host="127.0.0.1") for title in titles)
        return ReceiverSettings(peers=peers, **more).at_most_each

    assert each() == each("A") == 50
    assert each("A", "B") == 40
    assert each("A", "B", max_associations=10) == 9
    assert each("A", "B", max_associations=1) == 1


HALVES = {
    "a request": b"\x01\0\0\0\0\x60\0\1",
    "a PDU of an association": b"\x04\0\0\0\0\x60\0\0\0\x5c",
}


@pytest.mark.parametrize("what", HALVES)
def test_who_sends_byte_by_byte_is_given_up_when_the_time_for_a_pdu_is_over(stores, what):
    told, over = [], threading.Event()
    with receiving(stores, tell=told.append, timeout_s=2) as receiver, ExitStack() as open_sockets:
        if what == "a request":
            caller = socket.create_connection(("127.0.0.1", port_of(receiver)), DEADLINE_S)
            open_sockets.enter_context(caller)
            send = caller.sendall
        else:
            send = open_sockets.enter_context(raw(receiver)).send
        send(HALVES[what])

        def drip():
            with suppress(OSError):
                while not over.wait(0.2):
                    send(b"\0")

        thread = threading.Thread(target=drip)
        thread.start()
        wait_for(lambda: told, "it to be given up", DEADLINE_S)
        wait_for(lambda: not receiver.open_associations, "the slot to be free", DEADLINE_S)
        over.set()
        thread.join(DEADLINE_S)
    (failed,) = told
    assert failed.reason is Reason.TIMED_OUT


def test_a_message_that_comes_in_single_bytes_is_given_up(stores):
    told, over = [], threading.Event()
    with receiving(stores, tell=told.append, timeout_s=1) as receiver, raw(receiver) as peer:
        peer.begin_store(b"\0", "1.2.3")

        def drip():
            with suppress(OSError):
                while not over.wait(0.1):
                    peer.go_on(b"\0")  # each is a PDU in time

        thread = threading.Thread(target=drip)
        thread.start()
        wait_for(lambda: told, "it to be given up", DEADLINE_S)
        wait_for(lambda: not receiver.open_associations, "the slot to be free", DEADLINE_S)
        over.set()
        thread.join(DEADLINE_S)
        wait_for(lambda: not stores.files("incoming"), "its half to be deleted", DEADLINE_S)
    (failed,) = told
    assert failed.reason is Reason.MALFORMED
    assert "too slow" in failed.detail
