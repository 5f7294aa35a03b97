"""TLS for DICOM: versions, cipher suites, files, and connections that stay encrypted.

The profile is that of PS3.15 B.12 (BCP 195: RFC 8996, RFC 9325): TLS 1.2 with the four suites of
RFC 9325 4.2, and TLS 1.3.
"""

import os
import socket
import ssl
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from threading import Lock, RLock
from typing import Any, Self

import structlog

from scp.config.tls import ClientTlsSettings, ReceiverTlsSettings
from scp.errors import CertificateUnusable

log = structlog.get_logger(__name__)

# of TLS 1.2; those of TLS 1.3 are all good. Level 2: keys of RSA from 2048 bits on, no SHA-1
_SUITES = "@SECLEVEL=2:ECDHE+AESGCM"
_VERSIONS = {"1.2": ssl.TLSVersion.TLSv1_2, "1.3": ssl.TLSVersion.TLSv1_3}
_REQUESTS = {
    "required": ssl.CERT_REQUIRED,
    "optional": ssl.CERT_OPTIONAL,
    "none": ssl.CERT_NONE,
}
_PATIENCE_S = 1.0
_RECORD = 1 << 14  # bytes of one record at most (RFC 8446 5.1)


class TlsConnection(ssl.SSLSocket):
    """A connection that nothing leaves unencrypted, and that says whether there is data to read.

    A socket that can be read may hold a part of a record, or a record that is not data: who then
    waits for data waits for the peer.

    OpenSSL must not read and write one connection at the same time: whoever aborts from another
    thread waits a second, and then does without.
    """

    _ahead = b""
    _error: OSError | None = None
    _in_use: Any  # a threading.RLock

    def __new__(cls, *args: Any, **kwargs: Any) -> Self:
        """Make one; `ssl` calls no __init__."""
        self = super().__new__(cls, *args, **kwargs)
        self._in_use = RLock()
        return self

    def has_data(self) -> bool:
        """Say, without waiting, whether `recv` has something to tell: data, an end, an error."""
        if self._ahead or self._error:
            return True
        timeout = self.gettimeout()
        self.settimeout(0)
        try:
            with self._in_use:
                self._ahead = super().recv(_RECORD)
        except (ssl.SSLWantReadError, ssl.SSLWantWriteError):
            return False
        except OSError as error:
            self._error = error
        finally:
            with suppress(OSError):  # closed this very moment
                self.settimeout(timeout)
        return True

    def recv(self, buflen: int = 1024, flags: int = 0) -> bytes:
        """Return what was read ahead, else what comes."""
        if self._error is not None:
            raise self._error
        if self._ahead:
            data, self._ahead = self._ahead[:buflen], self._ahead[buflen:]
            return data
        with self._in_use:
            return super().recv(buflen, flags)

    def send(self, data: Any, flags: int = 0) -> int:
        """Send some of it. Raises TimeoutError while another thread reads."""
        if not self._in_use.acquire(timeout=_PATIENCE_S):
            raise TimeoutError("another thread reads from this connection")
        try:
            return super().send(data, flags)
        finally:
            self._in_use.release()

    def pending(self) -> int:
        """Return how many bytes can be had without reading from the network."""
        return len(self._ahead) + super().pending()

    def shutdown(self, how: int) -> None:
        """End the connection as a plain one is ended; what else is written goes out encrypted.

        Raises nothing where it has ended: pynetdicom would then not close it.
        """
        with suppress(OSError):
            socket.socket.shutdown(self, how)


class ServerTls:
    """What the receiver shows and asks for; renewed files are read again.

    Raises
    ------
    CertificateUnusable
        A file cannot be used.
    """

    def __init__(self, settings: ReceiverTlsSettings) -> None:
        self._settings = settings
        self._lock = Lock()
        self._stamps = self._look()
        self._context = server_context(settings)

    def context(self) -> ssl.SSLContext:
        """Return what a new connection is to use; files that cannot be used leave the old ones."""
        with self._lock:
            stamps = self._look()
            if stamps != self._stamps:
                self._stamps = stamps
                self._renew()
            return self._context

    def _renew(self) -> None:
        why_not = ""
        try:
            self._context = server_context(self._settings)
        except CertificateUnusable as error:
            why_not = str(error)
        if why_not:
            log.error("renewed certificate not used, the one before stays", error=why_not)
        else:
            log.info("certificate read again", certificate=self._settings.certificate)

    def _look(self) -> list[tuple[int, int, int] | None]:
        files = (self._settings.certificate, self._settings.key, self._settings.ca)
        return [_stamp(path) for path in files]


def _stamp(path: str) -> tuple[int, int, int] | None:
    try:
        found = Path(path).stat()
    except OSError:
        return None
    return found.st_mtime_ns, found.st_size, found.st_ino


def server_context(settings: ReceiverTlsSettings) -> ssl.SSLContext:
    """Return what the receiver's connections use. Raises CertificateUnusable."""
    context = _context(ssl.PROTOCOL_TLS_SERVER, settings.minimum_version)
    context.num_tickets = 0  # who comes again shows its certificate again
    context.options |= ssl.OP_NO_TICKET
    _load_own(context, settings.certificate, settings.key)
    if settings.client_certificate != "none":
        _load_ca(context, settings.ca)
    context.verify_mode = _REQUESTS[settings.client_certificate]
    return context


def client_context(settings: ClientTlsSettings) -> ssl.SSLContext:
    """Return what a connection to a peer uses. Raises CertificateUnusable."""
    context = _context(ssl.PROTOCOL_TLS_CLIENT, settings.minimum_version)
    context.check_hostname = not settings.name  # else we compare it ourselves
    _load_ca(context, settings.ca)
    if settings.certificate:
        _load_own(context, settings.certificate, settings.key)
    return context


def _context(protocol: int, minimum_version: str) -> ssl.SSLContext:
    context = ssl.SSLContext(protocol)
    context.sslsocket_class = TlsConnection
    context.minimum_version = _VERSIONS[minimum_version]
    context.set_ciphers(_SUITES)
    context.options |= ssl.OP_NO_RENEGOTIATION
    # a file of CAs may hold one that is below another, or the peer's own certificate
    context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
    return context


def _load_own(context: ssl.SSLContext, certificate: str, key: str) -> None:
    try:
        # OpenSSL would ask a terminal for the password
        context.load_cert_chain(certificate, key, password=lambda: b"-")
    except (ssl.SSLError, ValueError) as error:
        if getattr(error, "reason", None) == "KEY_VALUES_MISMATCH":
            raise CertificateUnusable(f"{key} is not the key of {certificate}") from error
        raise CertificateUnusable(
            f"{certificate} and {key} are not a certificate and its key, as PEM and without a"
            " password"
        ) from error
    except OSError as error:
        raise CertificateUnusable(
            f"{_unreadable(certificate, key)} cannot be read ({error.strerror}): check path, owner"
            " and permissions"
        ) from error


def _load_ca(context: ssl.SSLContext, ca: str) -> None:
    try:
        context.load_verify_locations(ca)
    except ssl.SSLError as error:
        raise CertificateUnusable(f"{ca} holds no certificate as PEM") from error
    except OSError as error:
        raise CertificateUnusable(
            f"{ca} cannot be read ({error.strerror}): check path, owner and permissions"
        ) from error


def _unreadable(*paths: str) -> str:
    return next((path for path in paths if not os.access(path, os.R_OK)), paths[0])


def names_of(certificate: Mapping[str, Any] | None) -> tuple[str, ...]:
    """Return the names that a certificate bears: common names, then subjectAltNames of any kind.

    ``certificate`` is what `ssl.SSLSocket.getpeercert` says of one that was verified.
    """
    found = certificate or {}
    subject = [pair for part in found.get("subject", ()) for pair in part]
    common = [value for kind, value in subject if kind == "commonName"]
    others = [value for _, value in found.get("subjectAltName", ()) if isinstance(value, str)]
    return tuple(dict.fromkeys([*common, *others]))
