"""Why associations with the receiver failed, and what to do about it.

A receiver tells of each by a line in the log, and keeps count of them here until its next
heartbeat writes the numbers to the index (`scp.index.associations`): a stranger who knocks a
thousand times a second costs no thousand transactions.
"""

from collections import Counter
from dataclasses import dataclass
from enum import StrEnum
from threading import Lock

_MOST_KINDS = 200  # between two heartbeats; the rest are counted by reason alone
_MOST_LETTERS = 200


class Reason(StrEnum):
    """Why an association failed, or ended early."""

    UNKNOWN_CALLER = "unknown-caller"
    WRONG_CALLED_TITLE = "wrong-called-ae-title"
    NO_COMMON_CONTEXT = "no-common-context"
    LOCAL_LIMIT = "local-limit"
    MALFORMED = "malformed"
    ABORTED = "aborted-by-peer"
    BROKEN = "connection-broken"
    TIMED_OUT = "timed-out"
    TLS_REQUIRED = "tls-required"
    TLS_NOT_EXPECTED = "tls-not-expected"
    TLS_VERSION = "tls-version"
    TLS_CERTIFICATE = "tls-certificate"
    TLS_CERTIFICATE_NAME = "tls-certificate-name"
    TLS_OWN_CERTIFICATE = "tls-own-certificate"
    TLS_HANDSHAKE = "tls-handshake"


ADVICE = {
    Reason.UNKNOWN_CALLER: "Enter its AE title and its address under [[receiver.peers]], if it is"
    " to send here.",
    Reason.WRONG_CALLED_TITLE: "It calls us by an AE title other than [receiver] ae_title: change"
    " it"
    " there, or here.",
    Reason.NO_COMMON_CONTEXT: "It offered nothing that hilum accepts; `hilum conformance` lists "
    "what it does. Configure it to send"
    " X-rays in one of those transfer syntaxes.",
    Reason.LOCAL_LIMIT: "All associations were in use: if this persists, raise [receiver] "
    "max_associations,"
    " max_associations_per_peer or processes.",
    Reason.MALFORMED: "What it sent is not readable DICOM: is it meant for another service?"
    " Otherwise a trace of the network shows more.",
    Reason.ABORTED: "It aborted: its log says why.",
    Reason.BROKEN: "The connection broke off: did it crash, or does a firewall cut connections?",
    Reason.TIMED_OUT: "It fell silent for longer than [receiver] timeout_s.",
    Reason.TLS_REQUIRED: "It must use TLS and did not: switch TLS on there, towards [receiver.tls]"
    " port.",
    Reason.TLS_NOT_EXPECTED: "It spoke TLS on the port without TLS: have it call [receiver.tls]"
    " port, or switch TLS off there.",
    Reason.TLS_VERSION: "It offers only versions or cipher suites of TLS that are too weak, or"
    " older than [receiver.tls] minimum_version: bring it up to date.",
    Reason.TLS_CERTIFICATE: "Its certificate is not accepted: renew it there, or put its CA into"
    " the file [receiver.tls] ca.",
    Reason.TLS_CERTIFICATE_NAME: "Its certificate is good, but is not the one of this AE title:"
    " correct certificate_names under its [[receiver.peers]], or somebody uses another's AE title.",
    Reason.TLS_OWN_CERTIFICATE: "It does not accept our certificate: have it trust our CA, or renew"
    " [receiver.tls] certificate; `hilum check` shows how long that is valid.",
    Reason.TLS_HANDSHAKE: "TLS failed for a reason that it alone may know: see its log.",
}


@dataclass(frozen=True)
class FailedAssociation:
    """Who called whom from where, and why it failed. No patient is in it."""

    reason: Reason
    calling_ae_title: str
    called_ae_title: str
    address: str
    detail: str = ""


class Tally:
    """Counts failed associations; safe from many threads."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._counted: Counter[FailedAssociation] = Counter()

    def add(self, failed: FailedAssociation, number: int = 1) -> None:
        """Count one, or several of the same."""
        short = FailedAssociation(
            failed.reason,
            failed.calling_ae_title,
            failed.called_ae_title,
            failed.address,
            failed.detail[:_MOST_LETTERS],
        )
        with self._lock:
            if short not in self._counted and len(self._counted) >= _MOST_KINDS:
                short = FailedAssociation(failed.reason, "", "", "")
            self._counted[short] += number

    def take(self) -> dict[FailedAssociation, int]:
        """Return what was counted since it was last taken."""
        with self._lock:
            counted, self._counted = self._counted, Counter()
        return dict(counted)
