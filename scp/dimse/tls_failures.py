"""Why TLS was not spoken, in words; of either side."""

import ssl
from dataclasses import dataclass
from enum import StrEnum


class Fault(StrEnum):
    """What kept two sides from speaking TLS."""

    NOT_TLS = "not TLS"
    VERSION = "version or cipher suite"
    CERTIFICATE = "the peer's certificate"
    OWN_CERTIFICATE = "our certificate"
    SILENT = "silent"
    CLOSED = "closed"
    OTHER = "other"


@dataclass(frozen=True)
class TlsFailure:
    """What went wrong; ``text`` has the peer as "it"."""

    fault: Fault
    text: str


class WrongName(ssl.SSLError):
    """The peer's certificate does not bear the name that it must."""


_NOT_VERIFIED = {
    # X509_V_ERR_*, as x509_vfy.h of OpenSSL numbers them
    2: "no CA in ca has signed its certificate",
    9: "its certificate is not valid yet: is a clock wrong?",
    10: "its certificate has expired",
    18: "its certificate is signed by itself, and not in ca",
    19: "no CA in ca has signed its certificate",
    20: "no CA in ca has signed its certificate",
    21: "no CA in ca has signed its certificate",
    26: "its certificate is not for this use (extended key usage: servers need serverAuth, clients"
    " clientAuth)",
    66: "the key of its certificate is too weak",
    67: "the key of its CA is too weak",
    68: "the signature of its certificate is too weak",
}
_TOLD = "it does not accept our certificate"
_NO_SUITE = "it has no version of TLS or cipher suite in common with us"
# by OpenSSL's names, without SSLV3_, TLSV1_ and TLSV13_ before ALERT (RFC 8446 6)
_REASONS = {
    "PEER_DID_NOT_RETURN_A_CERTIFICATE": (Fault.CERTIFICATE, "it sent no certificate"),
    "UNSUPPORTED_PROTOCOL": (Fault.VERSION, "it offers no version of TLS that is new enough"),
    "UNKNOWN_PROTOCOL": (Fault.VERSION, "it offers no version of TLS that is new enough"),
    "WRONG_SSL_VERSION": (Fault.VERSION, "it offers no version of TLS that is new enough"),
    "NO_SHARED_CIPHER": (Fault.VERSION, "it offers no cipher suite that is good enough"),
    "WRONG_VERSION_NUMBER": (Fault.NOT_TLS, "it does not speak TLS"),
    "HTTP_REQUEST": (Fault.NOT_TLS, "it sent a request for a web page"),
    "ALERT_UNKNOWN_CA": (Fault.OWN_CERTIFICATE, f"{_TOLD}: it does not know its CA"),
    "ALERT_CERTIFICATE_EXPIRED": (Fault.OWN_CERTIFICATE, f"{_TOLD}: it says that it has expired"),
    "ALERT_CERTIFICATE_REVOKED": (Fault.OWN_CERTIFICATE, f"{_TOLD}: it says that it is revoked"),
    "ALERT_BAD_CERTIFICATE": (Fault.OWN_CERTIFICATE, _TOLD),
    "ALERT_CERTIFICATE_UNKNOWN": (Fault.OWN_CERTIFICATE, _TOLD),
    "ALERT_UNSUPPORTED_CERTIFICATE": (
        Fault.OWN_CERTIFICATE,
        f"{_TOLD}: it is of a kind or for a use that it does not take",
    ),
    "ALERT_CERTIFICATE_REQUIRED": (
        Fault.OWN_CERTIFICATE,
        "it asks for a certificate, and we sent none",
    ),
    "ALERT_ACCESS_DENIED": (Fault.OWN_CERTIFICATE, "it denies us access"),
    "ALERT_PROTOCOL_VERSION": (Fault.VERSION, _NO_SUITE),
    "ALERT_INSUFFICIENT_SECURITY": (Fault.VERSION, _NO_SUITE),
    "ALERT_HANDSHAKE_FAILURE": (
        Fault.VERSION,
        f"{_NO_SUITE}, or it asks for a certificate and we sent none that it takes",
    ),
}


def failure_of(error: OSError) -> TlsFailure:
    """Return what an error of a handshake, or of the connection after it, means."""
    if isinstance(error, WrongName):
        return TlsFailure(Fault.CERTIFICATE, str(error.args[0]))
    if isinstance(error, ssl.SSLCertVerificationError):
        return TlsFailure(Fault.CERTIFICATE, _not_verified(error))
    if isinstance(error, TimeoutError):
        return TlsFailure(Fault.SILENT, "it fell silent within the TLS handshake")
    if isinstance(error, ssl.SSLEOFError) or not isinstance(error, ssl.SSLError):
        return TlsFailure(Fault.CLOSED, "it closed the connection within the TLS handshake")
    reason = str(error.reason or "")
    name = reason.partition("_")[2] if "_ALERT_" in reason else reason
    fault, text = _REASONS.get(name, (Fault.OTHER, f"TLS failed ({_plain(reason)})"))
    return TlsFailure(fault, text)


def _not_verified(error: ssl.SSLCertVerificationError) -> str:
    if error.verify_code in (62, 63, 64):  # host name, email, IP address
        return "its certificate is not made out to the host that we call"
    usual = f"its certificate is not good ({str(error.verify_message).lower()})"
    return _NOT_VERIFIED.get(error.verify_code, usual)


def _plain(reason: str) -> str:
    return reason.replace("_", " ").lower() or "no reason given"
