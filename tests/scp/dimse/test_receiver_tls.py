"""DICOM over TLS, as peers reach us: who gets in, who does not, and what is said of it."""

import socket
import ssl
import subprocess
import threading
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass

import pytest
from certificates import SERVER_ONLY, Authority
from network import DEADLINE_S, echo, film, open_stores, port_of, receiving, rejection, save
from peers import require_peer
from pynetdicom import AE
from pynetdicom.sop_class import Verification
from rawscu import context, item, pdu
from service import wait_for
from structlog.testing import capture_logs

from scp.config.network import ReceiverSettings
from scp.dimse.closing import abort
from scp.dimse.tls import ServerTls, server_context
from scp.errors import SUCCESS, CertificateUnusable
from scp.outcomes.associations import ADVICE, Reason
from scp.processes.sockets import open_listener

HERE = {"ae_title": "XRAY1", "host": "127.0.0.1"}
OLD = {"1.0": ssl.TLSVersion.TLSv1, "1.1": ssl.TLSVersion.TLSv1_1}
NEW = {"1.2": ssl.TLSVersion.TLSv1_2, "1.3": ssl.TLSVersion.TLSv1_3}


@pytest.fixture
def stores(tmp_path):
    with open_stores(tmp_path) as stores:
        yield stores


@pytest.fixture(scope="module")
def authority(tmp_path_factory):
    return Authority(tmp_path_factory.mktemp("ca"))


@pytest.fixture(scope="module")
def other_authority(tmp_path_factory):
    return Authority(tmp_path_factory.mktemp("other"), "Another CA")


@dataclass
class Secured:
    """A receiver with both ports, and what it told of failed associations."""

    receiver: object
    told: list

    @property
    def plain_port(self):
        return port_of(self.receiver)

    @property
    def port(self):
        return self.receiver.servers[-1].server_address[1]

    def failure(self):
        """Wait for the one association that failed."""
        wait_for(lambda: self.told, "the failure to be told", DEADLINE_S)
        (failed,) = self.told
        assert ADVICE[failed.reason]
        return failed


@contextmanager
def secured(stores, authority, *, own=None, peers=(), timeout_s=10 * DEADLINE_S, **tls):
    own = own or authority.issue()
    settings = {
        "mode": "beside",
        "certificate": str(own.certificate),
        "key": str(own.key),
        "ca": str(authority.ca),
    }
    told = []
    more = {"peers": list(peers), "timeout_s": timeout_s, "tls": settings | tls}
    listening = open_listener("127.0.0.1", 0)
    with receiving(stores, tell=told.append, tls_listening=listening, **more) as receiver:
        yield Secured(receiver, told)


def client(authority, files=None, version=None):
    """What a peer uses that trusts the authority."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.load_verify_locations(authority.ca)
    if files:
        context.load_cert_chain(files.certificate, files.key)
    if version:
        context.minimum_version = context.maximum_version = version
    return context


def tls_echo(port, context, calling="XRAY1"):
    """C-ECHO over TLS by pynetdicom; return the status, None without an association."""
    ae = AE(ae_title=calling)
    ae.acse_timeout = ae.dimse_timeout = ae.network_timeout = DEADLINE_S
    ae.add_requested_context(Verification)
    association = ae.associate("127.0.0.1", port, ae_title="HILUM", tls_args=(context, "127.0.0.1"))
    status = association.send_c_echo().Status if association.is_established else None
    if association.is_established:
        association.release()
    wait_for(lambda: not association.is_alive(), "the association to end", DEADLINE_S)
    return status


def dcmtk(program, port, authority, files, *more, profile="+py"):
    """Run a program of DCMTK over TLS; return what it did."""
    command = [require_peer(program), "-v", "-aet", "XRAY1", "-aec", "HILUM", profile]
    command += ["+tls", files.key, files.certificate, "+cf", authority.ca]
    return subprocess.run(
        [*map(str, command), "127.0.0.1", str(port), *map(str, more)],
        capture_output=True,
        text=True,
        check=False,
        timeout=DEADLINE_S,
    )


def test_dcmtk_echoes_and_stores_over_tls(stores, authority, tmp_path):
    ds = film()
    path = save(ds, tmp_path / "sent" / "film.dcm")
    peer = authority.issue("XRAY1")
    with secured(stores, authority, peers=[HERE | {"tls": True}]) as door:
        assert dcmtk("echoscu", door.port, authority, peer).returncode == 0
        assert dcmtk("storescu", door.port, authority, peer, path).returncode == 0
        assert door.told == []
    (row,) = stores.instances()
    assert row.uid == ds.SOPInstanceUID


def test_a_large_film_comes_whole_over_tls_beside_one_without(stores, authority, tmp_path):
    paths = []
    for number in range(2):
        ds = film(SOPInstanceUID=f"1.2.3.{number}")
        ds.add_new(0x00091010, "OB", bytes(3_000_000))  # many records of TLS, several PDUs
        ds.add_new(0x00090010, "LO", "HILUM TEST")
        paths.append(save(ds, tmp_path / "sent" / f"{number}.dcm"))
    with secured(stores, authority) as door:
        sent = dcmtk("storescu", door.port, authority, authority.issue("XRAY1"), paths[0])
        assert sent.returncode == 0, sent.stderr
        plain = [require_peer("storescu"), "-aec", "HILUM", "127.0.0.1", str(door.plain_port)]
        subprocess.run([*plain, paths[1]], check=True, timeout=DEADLINE_S)
    kept = [p.stat().st_size for p in stores.files("archive")]
    assert len(kept) == 2
    assert min(kept) > 3_000_000


@pytest.mark.parametrize("version", NEW)
def test_tls_1_2_and_1_3_are_spoken(stores, authority, version):
    with secured(stores, authority) as door:
        peer = client(authority, authority.issue("XRAY1"), NEW[version])
        assert tls_echo(door.port, peer) == SUCCESS


def shaken(port, context):
    """Shake hands as a client and read on; return what ended it."""
    try:
        with (
            socket.create_connection(("127.0.0.1", port), DEADLINE_S) as plain,
            context.wrap_socket(plain, server_hostname="127.0.0.1") as connection,
        ):
            return connection.recv(1)
    except OSError as error:
        return error


@pytest.mark.parametrize("version", OLD)
def test_older_versions_of_tls_are_refused(stores, authority, version):
    old = client(authority, authority.issue("XRAY1"))
    old.set_ciphers("ALL:@SECLEVEL=0")  # else this side would not offer them
    with pytest.warns(DeprecationWarning, match="TLSv1"):
        old.minimum_version = old.maximum_version = OLD[version]
    with secured(stores, authority) as door:
        assert isinstance(shaken(door.port, old), OSError)
        failed = door.failure()
    assert failed.reason is Reason.TLS_VERSION
    assert "no version of TLS that is new enough" in failed.detail


def test_where_the_minimum_is_1_3_nobody_speaks_1_2(stores, authority):
    with secured(stores, authority, minimum_version="1.3") as door:
        old = client(authority, authority.issue("XRAY1"), ssl.TLSVersion.TLSv1_2)
        assert isinstance(shaken(door.port, old), OSError)
        assert door.failure().reason is Reason.TLS_VERSION


def test_weak_cipher_suites_are_refused(stores, authority):
    weak = client(authority, authority.issue("XRAY1"), ssl.TLSVersion.TLSv1_2)
    weak.set_ciphers("AES128-SHA:ECDHE-ECDSA-AES128-SHA:@SECLEVEL=0")
    with secured(stores, authority) as door:
        assert isinstance(shaken(door.port, weak), OSError)
        failed = door.failure()
    assert (failed.reason, failed.detail) == (
        Reason.TLS_VERSION,
        "it offers no cipher suite that is good enough",
    )


BAD = {
    "none": (lambda _ca, _other: None, "it sent no certificate"),
    "of another CA": (lambda _ca, other: other.issue("XRAY1"), "no CA in ca has signed"),
    "expired": (lambda ca, _other: ca.expired("XRAY1"), "its certificate has expired"),
    "not yet valid": (lambda ca, _other: ca.not_yet_valid("XRAY1"), "is not valid yet"),
    "of a server": (lambda ca, _other: ca.issue("XRAY1", usage=SERVER_ONLY), "clients clientAuth"),
}


@pytest.mark.parametrize("version", NEW)
@pytest.mark.parametrize("what", BAD)
def test_a_peer_without_a_good_certificate_is_refused(
    stores, authority, other_authority, what, version
):
    make, says = BAD[what]
    peer = client(authority, make(authority, other_authority), NEW[version])
    with secured(stores, authority) as door, capture_logs() as lines:
        assert isinstance(shaken(door.port, peer), OSError)
        failed = door.failure()
        assert door.receiver.slots_in_use == 0
    assert (failed.reason, failed.address) == (Reason.TLS_CERTIFICATE, "127.0.0.1")
    assert says in failed.detail
    said = [line for line in lines if line["log_level"] != "debug"]
    assert [line["event"] for line in said] == ["association failed"]


def test_dcmtk_is_refused_with_a_certificate_of_another_ca(stores, authority, other_authority):
    with secured(stores, authority) as door:
        done = dcmtk("echoscu", door.port, authority, other_authority.issue("XRAY1"))
        assert done.returncode != 0
        assert door.failure().reason is Reason.TLS_CERTIFICATE


WISHES = {
    # of a certificate -> what a peer has -> whether it is let in
    ("optional", "none"): True,
    ("optional", "of another CA"): False,
    ("none", "none"): True,
    ("none", "of another CA"): True,  # it is not asked for
}


@pytest.mark.parametrize(("wish", "has"), WISHES)
def test_a_certificate_that_is_not_required_may_be_missing_but_not_bad(
    stores, authority, other_authority, wish, has
):
    files = BAD[has][0](authority, other_authority)
    with secured(stores, authority, client_certificate=wish) as door:
        status = tls_echo(door.port, client(authority, files))
    assert (status == SUCCESS) is WISHES[wish, has]


def test_a_peer_that_does_not_trust_our_certificate_is_told_of(stores, authority, other_authority):
    with secured(stores, authority) as door:
        stranger = client(other_authority, authority.issue("XRAY1"))
        assert isinstance(shaken(door.port, stranger), ssl.SSLCertVerificationError)
        failed = door.failure()
    assert failed.reason is Reason.TLS_OWN_CERTIFICATE
    assert "it does not know its CA" in failed.detail


# --- no way around it ---------------------------------------------------------------------------


def test_a_peer_that_must_use_tls_is_rejected_without(stores, authority):
    with secured(stores, authority, peers=[HERE | {"tls": True}]) as door:
        assert rejection(door.plain_port) == (1, 1, 1)
        failed = door.failure()
        door.told.clear()
        assert tls_echo(door.port, client(authority, authority.issue("XRAY1"))) == SUCCESS
    assert (failed.reason, failed.calling_ae_title) == (Reason.TLS_REQUIRED, "XRAY1")
    assert failed.detail == "XRAY1 must use TLS, and came without"


def test_a_peer_that_need_not_use_tls_may_come_either_way(stores, authority):
    with secured(stores, authority, peers=[HERE]) as door:
        assert echo(door.plain_port) == SUCCESS
        assert tls_echo(door.port, client(authority, authority.issue("XRAY1"))) == SUCCESS


def test_of_two_entries_for_one_peer_the_stricter_holds(stores, authority):
    with secured(stores, authority, peers=[HERE, HERE | {"tls": True}]) as door:
        assert rejection(door.plain_port) == (1, 1, 1)


def test_plain_dicom_on_the_port_of_tls_is_rejected_and_says_who_it_was(stores, authority):
    with secured(stores, authority) as door:
        assert rejection(door.port) == (1, 1, 1)
        failed = door.failure()
    assert (failed.reason, failed.calling_ae_title, failed.called_ae_title) == (
        Reason.TLS_REQUIRED,
        "XRAY1",
        "HILUM",
    )


def test_tls_on_the_port_without_is_told_as_what_it_is(stores, authority):
    with secured(stores, authority) as door:
        assert isinstance(shaken(door.plain_port, client(authority)), OSError)
        failed = door.failure()
    assert failed.reason is Reason.TLS_NOT_EXPECTED


@pytest.mark.parametrize("data", [b"GET / HTTP/1.1\r\nHost: x\r\n\r\n", b"\xff" * 40])
def test_what_is_neither_dicom_nor_tls_is_hung_up_on(stores, authority, data):
    with secured(stores, authority) as door:
        with socket.create_connection(("127.0.0.1", door.port), DEADLINE_S) as caller:
            caller.sendall(data)
            with suppress(ConnectionError):
                while caller.recv(1000):
                    pass
        assert door.failure().reason is Reason.TLS_REQUIRED


def test_a_look_at_the_port_is_no_failure(stores, authority):
    with secured(stores, authority) as door:
        socket.create_connection(("127.0.0.1", door.port), DEADLINE_S).close()
        assert tls_echo(door.port, client(authority, authority.issue("XRAY1"))) == SUCCESS
        assert door.told == []


def test_an_address_that_no_peer_has_gets_no_handshake(stores, authority):
    elsewhere = {"ae_title": "XRAY1", "host": "127.0.0.3"}
    with secured(stores, authority, peers=[elsewhere]) as door:
        error = shaken(door.port, client(authority, authority.issue("XRAY1")))
        failed = door.failure()
    assert error.reason == "TLSV1_ALERT_ACCESS_DENIED"
    assert (failed.reason, failed.detail) == (
        Reason.UNKNOWN_CALLER,
        "no peer has this address",
    )


NAMES = {
    "its common name": ("XRAY1", (), ["XRAY1"]),
    "one of several": ("any", ("ct.example", "xray1.example"), ["XRAY1", "xray1.example"]),
    "an address": ("any", ("127.0.0.1",), ["127.0.0.1"]),
}


@pytest.mark.parametrize("how", NAMES)
def test_a_peer_bound_to_its_certificate_is_let_in(stores, authority, how):
    common, hosts, wanted = NAMES[how]
    peer = HERE | {"certificate_names": wanted}
    with secured(stores, authority, peers=[peer]) as door:
        files = authority.issue(common, hosts=hosts)
        assert tls_echo(door.port, client(authority, files)) == SUCCESS


@pytest.mark.parametrize("wish", ["required", "optional"])
def test_another_ones_certificate_does_not_do_for_an_ae_title(stores, authority, wish):
    peers = [HERE | {"certificate_names": ["xray1.example"]}, HERE | {"ae_title": "CT"}]
    with secured(stores, authority, peers=peers, client_certificate=wish) as door:
        ct = client(authority, authority.issue("CT", hosts=["ct.example"]))
        assert tls_echo(door.port, ct) is None
        failed = door.failure()
        assert tls_echo(door.port, ct, calling="CT") == SUCCESS
        if wish == "optional":
            assert tls_echo(door.port, client(authority)) is None
        assert rejection(door.plain_port) == (1, 1, 1)
    assert (failed.reason, failed.calling_ae_title) == (Reason.TLS_CERTIFICATE_NAME, "XRAY1")
    assert failed.detail == "its certificate is made out to CT, ct.example"


# --- nobody keeps others out --------------------------------------------------------------------

HALF_HELLO = b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"


@pytest.mark.parametrize("begins", [b"", HALF_HELLO], ids=["nothing", "half a hello"])
def test_handshakes_that_stall_hold_up_nobody_and_take_no_slot(stores, authority, begins):
    peer = client(authority, authority.issue("XRAY1"))
    with secured(stores, authority) as door, ExitStack() as stalled:
        for _ in range(120):
            caller = socket.create_connection(("127.0.0.1", door.port), DEADLINE_S)
            stalled.enter_context(caller)
            caller.sendall(begins)
        assert door.receiver.slots_in_use == 0
        assert tls_echo(door.port, peer) == SUCCESS
        assert echo(door.plain_port) == SUCCESS
        slots = door.receiver.callers.slots
        wait_for(
            lambda: sum(one.is_alive() for _, one in slots._handshakes) <= 100,
            "the oldest to be hung up on",
            DEADLINE_S,
        )


@pytest.mark.parametrize("how", ["silent", "byte by byte"])
def test_a_handshake_that_stalls_is_given_up_at_its_deadline(stores, authority, how):
    over = threading.Event()
    with (
        secured(stores, authority, timeout_s=1) as door,
        socket.create_connection(("127.0.0.1", door.port), DEADLINE_S) as caller,
    ):
        caller.sendall(HALF_HELLO)

        def drip():
            with suppress(OSError):
                while how != "silent" and not over.wait(0.1):
                    caller.sendall(b"\0")

        thread = threading.Thread(target=drip)
        thread.start()
        failed = door.failure()
        over.set()
        thread.join(DEADLINE_S)
    assert failed.reason is Reason.TIMED_OUT
    assert failed.detail == "it fell silent within the TLS handshake"


def test_a_connection_that_closes_within_the_handshake_is_told_of(stores, authority):
    with secured(stores, authority) as door:
        with socket.create_connection(("127.0.0.1", door.port), DEADLINE_S) as caller:
            caller.sendall(HALF_HELLO)
        assert door.failure().reason is Reason.BROKEN


@contextmanager
def shaken_hands(door, authority):
    files = authority.issue("XRAY1")
    with (
        socket.create_connection(("127.0.0.1", door.port), DEADLINE_S) as plain,
        client(authority, files).wrap_socket(plain, server_hostname="127.0.0.1") as connection,
    ):
        yield connection


def request():
    """An A-ASSOCIATE-RQ for C-ECHO."""
    user = item(0x51, (1 << 16).to_bytes(4, "big")) + item(0x52, b"1.2.3")
    head = b"\0\1\0\0" + b"HILUM".ljust(16) + b"XRAY1".ljust(16) + bytes(32)
    contexts = context(1, Verification, "1.2.840.10008.1.2")
    return pdu(1, head + item(0x10, b"1.2.840.10008.3.1.1.1") + contexts + item(0x50, user))


def test_who_falls_silent_after_the_handshake_is_given_up_by_the_same_deadline(stores, authority):
    with secured(stores, authority, timeout_s=1) as door:
        with shaken_hands(door, authority) as connection:
            connection.sendall(request()[:20])
            failed = door.failure()
        wait_for(lambda: not door.receiver.open_associations, "its end", DEADLINE_S)
    assert failed.reason is Reason.TIMED_OUT


def test_a_stop_does_not_wait_for_handshakes(stores, authority):
    with ExitStack() as open_sockets:
        with secured(stores, authority) as door:
            caller = socket.create_connection(("127.0.0.1", door.port), DEADLINE_S)
            open_sockets.enter_context(caller)
            caller.sendall(HALF_HELLO)
            slots = door.receiver.callers.slots
            wait_for(lambda: slots._handshakes, "the handshake to begin", DEADLINE_S)
        assert caller.recv(1) == b""
        assert door.told == []


@pytest.mark.parametrize("version", NEW)
def test_a_resumed_session_is_still_that_of_its_certificate(stores, authority, version):
    peers = [HERE | {"certificate_names": ["XRAY1"]}, HERE | {"ae_title": "CT"}]
    with secured(stores, authority, peers=peers) as door, ExitStack() as open_sockets:
        session = None
        peer = client(authority, authority.issue("XRAY1"), NEW[version])
        for _ in range(2):
            plain = socket.create_connection(("127.0.0.1", door.port), DEADLINE_S)
            open_sockets.enter_context(plain)
            connection = peer.wrap_socket(plain, server_hostname="127.0.0.1", session=session)
            open_sockets.enter_context(connection)
            reused, session = connection.session_reused, connection.session
            connection.sendall(request())
            assert connection.recv(1) == b"\x02"  # A-ASSOCIATE-AC
        assert reused is (version == "1.2")  # by session ID, while the first one is open


def test_who_aborts_while_another_thread_reads_writes_nothing_and_is_soon_through(authority):
    files = authority.issue()
    settings = {"mode": "only", "certificate": str(files.certificate), "key": str(files.key)}
    context = server_context(ReceiverSettings(tls=settings | {"client_certificate": "none"}).tls)
    ours, theirs = socket.socketpair()
    shaken_hands, read = [], []
    with theirs:
        peer = threading.Thread(
            target=lambda: shaken_hands.append(
                client(authority).wrap_socket(theirs, server_hostname="127.0.0.1")
            )
        )
        peer.start()
        connection = context.wrap_socket(ours, server_side=True)
        peer.join(DEADLINE_S)
        connection.settimeout(DEADLINE_S)
        reader = threading.Thread(target=lambda: read.append(connection.recv(1)))
        reader.start()
        wait_for(lambda: not _can_be_taken(connection._in_use), "the reader", DEADLINE_S)
        abort(connection)
        socket.socket.shutdown(connection, socket.SHUT_RDWR)
        reader.join(DEADLINE_S)
        assert read == [b""]
        assert shaken_hands[0].recv(1) == b""
        for one in (connection, *shaken_hands):
            one.close()


def _can_be_taken(lock):
    taken = lock.acquire(blocking=False)
    if taken:
        lock.release()
    return taken


# --- certificates are renewed -------------------------------------------------------------------


def serial(port, context):
    """Return the serial number of the certificate that is shown on a port."""
    with (
        socket.create_connection(("127.0.0.1", port), DEADLINE_S) as plain,
        context.wrap_socket(plain, server_hostname="127.0.0.1") as connection,
    ):
        return connection.getpeercert()["serialNumber"]


def test_a_renewed_certificate_is_shown_without_a_restart(stores, authority):
    own, renewed = authority.issue(), authority.issue()
    peer = client(authority, authority.issue("XRAY1"))
    with secured(stores, authority, own=own) as door, capture_logs() as lines:
        first = serial(door.port, peer)
        own.certificate.write_bytes(renewed.certificate.read_bytes())
        assert serial(door.port, peer) == first  # its key has not come yet
        own.key.write_bytes(renewed.key.read_bytes())
        assert serial(door.port, peer) != first
    said = {line["event"]: line for line in lines}
    why_not = said["renewed certificate not used, the one before stays"]["error"]
    assert "is not the key of" in why_not
    assert "certificate read again" in said


def test_what_cannot_be_used_at_the_start_is_an_error_that_names_the_file(authority, tmp_path):
    own, other = authority.issue(), authority.issue()
    empty, gone = tmp_path / "empty.pem", tmp_path / "gone.pem"
    empty.touch()
    right = {"certificate": own.certificate, "key": own.key, "ca": authority.ca}
    for key, path, says in (
        ("key", other.key, "is not the key of"),
        ("key", gone, f"{gone} cannot be read"),
        ("key", authority.locked(own.key), "without a password"),
        ("certificate", empty, "are not a certificate and its key"),
        ("ca", gone, f"{gone} cannot be read"),
        ("ca", own.key, "holds no certificate"),
    ):
        files = {name: str(file) for name, file in (right | {key: path}).items()}
        settings = ReceiverSettings(tls={"mode": "only"} | files).tls
        with pytest.raises(CertificateUnusable, match=says):
            ServerTls(settings)
