"""DICOM over TLS, as we call others: nothing is said without, and why not is told."""

import shutil
import socket
import ssl
import subprocess
import threading
from contextlib import contextmanager, suppress
from time import monotonic

import pytest
from certificates import CLIENT_ONLY, Authority
from network import DEADLINE_S, film, mute, save
from orthanc import Orthanc
from peers import require_peer
from ports import free_port
from pydicom.uid import ExplicitVRLittleEndian
from pynetdicom import AE, evt
from pynetdicom.sop_class import DigitalXRayImageStorageForPresentation, Verification
from service import wait_for

from scp.config.destinations import DestinationSettings
from scp.config.priors import PriorsSettings
from scp.dashboard.troubleshooting import Parties, advice
from scp.dimse.retrieve import see_services
from scp.dimse.sender import echo, send
from scp.errors import NotSecured, PriorsUnavailable
from scp.outcomes.delivery import Cause, Kind
from scp.outcomes.sending import Unreachable, describe

DX = DigitalXRayImageStorageForPresentation
NEW = {"1.2": ssl.TLSVersion.TLSv1_2, "1.3": ssl.TLSVersion.TLSv1_3}


@pytest.fixture(scope="module")
def authority(tmp_path_factory):
    return Authority(tmp_path_factory.mktemp("ca"))


@pytest.fixture(scope="module")
def other_authority(tmp_path_factory):
    return Authority(tmp_path_factory.mktemp("other"), "Another CA")


def destination(port, authority, own=None, host="127.0.0.1", timeout_s=DEADLINE_S, **tls):
    files = {"certificate": str(own.certificate), "key": str(own.key)} if own else {}
    return DestinationSettings(
        name="pacs",
        ae_title="PACS",
        host=host,
        port=port,
        timeout_s=timeout_s,
        tls={"enabled": True, "ca": str(authority.ca)} | files | tls,
    )


def outcome(where):
    """Say how C-ECHO failed, and check that ops are told what to do."""
    with pytest.raises(Unreachable) as failed:
        echo(where, "HILUM")
    said = failed.value.outcome
    assert said.kind is Kind.TRANSIENT  # it waits: it is never the film's fault
    assert "{" not in advice(said, Parties("pacs", "HILUM", "PACS", "127.0.0.1:104"))
    return said


def server_context(authority, files, *, asks=True, version=None):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(files.certificate, files.key)
    context.load_verify_locations(authority.ca)
    context.verify_mode = ssl.CERT_REQUIRED if asks else ssl.CERT_NONE
    if version:
        context.minimum_version = context.maximum_version = version
    return context


@contextmanager
def serving(context):
    """pynetdicom's SCP over TLS; yield its port."""
    ae = AE(ae_title="PACS")
    ae.add_supported_context(Verification)
    ae.add_supported_context(DX, ExplicitVRLittleEndian)
    server = ae.start_server(
        ("127.0.0.1", 0),
        block=False,
        ssl_context=context,
        evt_handlers=[(evt.EVT_C_STORE, lambda _: 0)],
    )
    yield server.socket.getsockname()[1]
    ae.shutdown()


@contextmanager
def listening(serve):
    """Give each connection to a function; yield the port, and what the function returned."""
    results = []

    def run():
        while True:
            try:
                connection, _ = server.accept()
            except OSError:
                return
            connection.settimeout(DEADLINE_S)
            with connection:
                results.append(serve(connection))

    with socket.create_server(("127.0.0.1", 0)) as server:
        thread = threading.Thread(target=run)
        thread.start()
        try:
            yield server.getsockname()[1], results
        finally:
            server.shutdown(socket.SHUT_RDWR)
            thread.join(DEADLINE_S)


def after_handshake(context):
    """Return what serves one connection: shakes hands, and returns what is said over TLS."""

    def serve(connection):
        with context.wrap_socket(connection, server_side=True, do_handshake_on_connect=False) as s:
            try:
                s.do_handshake()
                return s.recv(1000)
            except OSError:
                return b""

    return serve


@pytest.fixture
def objects(tmp_path):
    return [describe(save(film(), tmp_path / "out" / "film.dcm"))]


@pytest.mark.parametrize("version", NEW)
@pytest.mark.parametrize("asks", [True, False], ids=["mutual", "server only"])
def test_a_film_goes_out_over_tls(authority, objects, asks, version):
    context = server_context(authority, authority.issue("PACS"), asks=asks, version=NEW[version])
    own = authority.issue("HILUM") if asks else None
    with serving(context) as port:
        (sent,) = send(destination(port, authority, own), "HILUM", objects)
    assert sent.outcome.delivered


def test_storescp_of_dcmtk_takes_a_film_over_tls(authority, objects, tmp_path):
    files, port = authority.issue("PACS"), free_port()
    folder = tmp_path / "in"
    folder.mkdir()
    command = [require_peer("storescp"), "-v", "-aet", "PACS", "-od", folder, "+py"]
    command += ["+tls", files.key, files.certificate, "+cf", authority.ca, port]
    with (tmp_path / "storescp.log").open("wb") as log:
        peer = subprocess.Popen([*map(str, command)], stdout=log, stderr=subprocess.STDOUT)
    try:
        where = destination(port, authority, authority.issue("HILUM"))
        wait_for(lambda: _answers(where), "storescp", DEADLINE_S)
        (sent,) = send(where, "HILUM", objects)
        without = destination(port, authority)
        assert outcome(without).cause is Cause.TLS_OWN_CERTIFICATE
    finally:
        peer.kill()
        peer.wait()
    assert sent.outcome.delivered
    assert len(list(folder.iterdir())) == 1


def _answers(where):
    with suppress(Unreachable):
        echo(where, "HILUM")
        return True
    return False


class TlsOrthanc(Orthanc):
    """Orthanc that speaks DICOM over TLS alone, and wants certificates."""

    def __init__(self, folder, authority):
        super().__init__(folder)
        self.files, self.authority = authority.issue("ORTHANC"), authority

    def _configuration(self):
        return super()._configuration() | {
            "DicomTlsEnabled": True,
            "DicomTlsCertificate": str(self.files.certificate),
            "DicomTlsPrivateKey": str(self.files.key),
            "DicomTlsTrustedCertificates": str(self.authority.ca),
            "DicomTlsRemoteCertificateRequired": True,
            "DicomAlwaysAllowFind": True,
            "DicomAlwaysAllowGet": True,
        }


def test_orthanc_takes_films_and_answers_queries_over_tls(authority, objects, tmp_path):
    folder = tmp_path / "orthanc"
    folder.mkdir()
    own = authority.issue("HILUM")
    with TlsOrthanc(folder, authority) as orthanc:
        where = destination(orthanc.dicom_port, authority, own)
        (sent,) = send(where, "HILUM", objects)
        assert sent.outcome.delivered
        assert orthanc.find(film().SOPInstanceUID)
        priors = PriorsSettings(
            retrieve="get",
            ae_title="ORTHANC",
            host="127.0.0.1",
            port=orthanc.dicom_port,
            timeout_s=DEADLINE_S,
            tls=where.tls,
        )
        see_services(priors, "HILUM")
        without = priors.model_copy(update={"tls": destination(1, authority).tls})
        with pytest.raises(NotSecured, match=r"priors\.tls"):
            see_services(without, "HILUM")
        plain = priors.model_copy(update={"tls": PriorsSettings().tls})
        with pytest.raises(PriorsUnavailable):
            see_services(plain, "HILUM")
    shutil.rmtree(folder)


# --- what keeps TLS from being spoken -----------------------------------------------------------

BAD = {
    "of another CA": (lambda _ca, other: other.issue("PACS"), "no CA in ca has signed"),
    "expired": (lambda ca, _other: ca.expired("PACS"), "has expired"),
    "not yet valid": (lambda ca, _other: ca.not_yet_valid("PACS"), "not valid yet"),
    "for another host": (lambda ca, _other: ca.issue(hosts=["pacs.example"]), "not made out to"),
    "without a host": (lambda ca, _other: ca.issue("PACS", hosts=[]), "not made out to the host"),
    "for clients alone": (
        lambda ca, _other: ca.issue(usage=CLIENT_ONLY),
        "servers need serverAuth",
    ),
}


@pytest.mark.parametrize("version", NEW)
@pytest.mark.parametrize("what", BAD)
def test_a_destination_without_a_good_certificate_is_told_nothing(
    authority, other_authority, what, version
):
    make, says = BAD[what]
    context = server_context(authority, make(authority, other_authority), version=NEW[version])
    with listening(after_handshake(context)) as (port, heard):
        said = outcome(destination(port, authority, authority.issue("HILUM")))
        wait_for(lambda: heard, "the server to be through", DEADLINE_S)
    assert said.cause is Cause.TLS_CERTIFICATE
    assert says in said.peer_text
    assert heard == [b""]


def test_the_name_that_is_asked_for_counts_in_place_of_the_host(authority):
    files = authority.issue("PACS", hosts=["pacs.example"])
    with serving(server_context(authority, files, asks=False)) as port:
        for name in ("PACS", "pacs.example"):
            echo(destination(port, authority, name=name), "HILUM")
        said = outcome(destination(port, authority, name="RIS"))
    assert said.cause is Cause.TLS_CERTIFICATE
    assert said.peer_text == "its certificate is made out to PACS, pacs.example, not to RIS"


def test_a_host_is_compared_with_the_name_by_which_it_is_called(authority):
    files = authority.issue("any", hosts=["localhost"])
    with serving(server_context(authority, files, asks=False)) as port:
        echo(destination(port, authority, host="localhost"), "HILUM")
        assert outcome(destination(port, authority)).cause is Cause.TLS_CERTIFICATE


def test_a_certificate_may_itself_be_what_is_trusted(authority, tmp_path):
    files = authority.issue("PACS")
    pinned = tmp_path / "pinned.pem"
    pinned.write_bytes(files.certificate.read_bytes())
    with serving(server_context(authority, files, asks=False)) as port:
        echo(destination(port, authority, ca=str(pinned)), "HILUM")


OURS = {
    "none": (lambda _ca, _other: None, "asks for a certificate"),
    "of another CA": (lambda _ca, other: other.issue("HILUM"), "it does not know its CA"),
    "expired": (lambda ca, _other: ca.expired("HILUM"), "it says that it has expired"),
}


@pytest.mark.parametrize("version", NEW)
@pytest.mark.parametrize("what", OURS)
def test_a_destination_that_does_not_accept_our_certificate_says_so(
    authority, other_authority, what, version
):
    make, says = OURS[what]
    context = server_context(authority, authority.issue("PACS"), version=NEW[version])
    with listening(after_handshake(context)) as (port, _):
        said = outcome(destination(port, authority, make(authority, other_authority)))
    if (what, version) == ("none", "1.2"):  # where TLS has no word for it
        assert said.cause is Cause.TLS_VERSION
    else:
        assert said.cause is Cause.TLS_OWN_CERTIFICATE
    assert says in said.peer_text


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1, ssl.TLSVersion.TLSv1_1])
def test_a_destination_that_speaks_only_an_older_tls_is_told_nothing(authority, version):
    context = server_context(authority, authority.issue("PACS"), asks=False)
    context.set_ciphers("ALL:@SECLEVEL=0")
    with pytest.warns(DeprecationWarning, match="TLSv1"):
        context.minimum_version = context.maximum_version = version
    with listening(after_handshake(context)) as (port, heard):
        assert outcome(destination(port, authority)).cause is Cause.TLS_VERSION
        wait_for(lambda: heard, "the server to be through", DEADLINE_S)
    assert heard == [b""]


def test_weak_cipher_suites_are_not_offered(authority):
    files = authority.issue("PACS")
    context = server_context(authority, files, asks=False, version=ssl.TLSVersion.TLSv1_2)
    context.set_ciphers("ECDHE-ECDSA-AES128-SHA:@SECLEVEL=0")
    with listening(after_handshake(context)) as (port, _):
        assert outcome(destination(port, authority)).cause is Cause.TLS_VERSION


def test_a_destination_without_tls_gets_nothing_but_a_hello(authority):
    def plain(connection):
        data = connection.recv(10_000)
        connection.sendall(b"\x07\0\0\0\0\4\0\0\2\0")  # A-ABORT
        return data

    with listening(plain) as (port, heard):
        said = outcome(destination(port, authority))
    assert said.cause is Cause.TLS_NOT_SPOKEN
    (data,) = heard
    assert data[0] == 0x16
    assert b"HILUM" not in data


def test_a_destination_that_speaks_tls_and_is_called_without_is_told_of():
    def refuse(connection):
        connection.recv(10_000)
        connection.sendall(b"\x15\x03\x03\0\x02\x02\x0a")  # unexpected_message

    with listening(refuse) as (port, _):
        where = DestinationSettings(name="pacs", ae_title="PACS", host="127.0.0.1", port=port)
        assert outcome(where).cause is Cause.TLS_WANTED


def test_a_destination_that_stalls_in_the_handshake_costs_its_timeout(authority):
    began = monotonic()
    with mute(b"") as port:
        said = outcome(destination(port, authority, timeout_s=1))
    assert said.cause is Cause.TLS_FAILED
    assert "fell silent" in said.peer_text
    assert monotonic() - began < DEADLINE_S


def test_a_destination_that_closes_in_the_handshake_is_told_of(authority):
    with listening(lambda connection: connection.recv(1)) as (port, _):
        said = outcome(destination(port, authority))
    assert said.cause is Cause.TLS_FAILED
    assert "closed the connection" in said.peer_text


def test_a_port_where_nobody_listens_is_no_failure_of_tls(authority):
    assert outcome(destination(free_port(), authority)).cause is Cause.NO_CONNECTION


def test_files_of_ours_that_cannot_be_used_are_named_and_waited_for(authority, tmp_path):
    own = authority.issue("HILUM")
    gone = str(tmp_path / "gone.pem")
    with serving(server_context(authority, authority.issue("PACS"))) as port:
        for changed in ({"ca": gone}, {"key": gone}, {"key": str(authority.issue().key)}):
            said = outcome(destination(port, authority, own, **changed))
            assert said.cause is Cause.TLS_FILES
            assert next(iter(changed.values())) in said.peer_text
        echo(destination(port, authority, own), "HILUM")


def test_a_renewed_certificate_of_ours_counts_at_the_next_attempt(authority):
    own, renewed = authority.expired("HILUM"), authority.issue("HILUM")
    with serving(server_context(authority, authority.issue("PACS"))) as port:
        where = destination(port, authority, own)
        assert outcome(where).cause is Cause.TLS_OWN_CERTIFICATE
        shutil.copy(renewed.certificate, own.certificate)
        shutil.copy(renewed.key, own.key)
        echo(where, "HILUM")


def test_priors_are_not_asked_for_beyond_the_deadline_of_a_stalled_handshake(authority):
    with mute(b"") as port:
        priors = PriorsSettings(
            retrieve="get", port=port, timeout_s=1, tls=destination(1, authority).tls
        )
        began = monotonic()
        with pytest.raises(PriorsUnavailable):
            see_services(priors, "HILUM")
    assert monotonic() - began < DEADLINE_S
