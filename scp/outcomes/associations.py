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
