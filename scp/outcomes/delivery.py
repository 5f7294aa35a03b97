"""How an attempt to deliver one object ended: what is stored of it, and whether it is retried.

An outcome is codes and the peer's own words. Sentences are made where they are shown
(`scp.dashboard.troubleshooting`), so none is ever read again.
"""

from dataclasses import dataclass
from enum import StrEnum

from scp.errors import SUCCESS


class Kind(StrEnum):
    """What follows from an outcome.

    SUCCESS and WARNING: the destination has the object. PERMANENT: the same object would be refused
    again, so it becomes a dead letter at once. TRANSIENT: it is tried again.
    """

    SUCCESS = "success"
    WARNING = "warning"
    PERMANENT = "permanent"
    TRANSIENT = "transient"


class Cause(StrEnum):
    """What an outcome rests on: the status of a C-STORE response, or what came instead of one."""

    STATUS = "status"
    NOT_ACCEPTED = "no-accepted-context"
    NOT_CONVERTED = "not-converted"
    NO_CONNECTION = "no-connection"
    UNKNOWN_HOST = "unknown-host"
    NO_ANSWER = "no-answer"
    NOT_UNDERSTOOD = "answer-not-understood"
    CALLING_TITLE_UNKNOWN = "calling-ae-title-not-recognized"
    CALLED_TITLE_UNKNOWN = "called-ae-title-not-recognized"
    CONGESTED = "congested"
    REJECTED = "association-rejected"
    ABORTED = "association-aborted"
    BROKEN = "connection-broken"
    NOT_REACHED = "not-reached"
    TIMED_OUT = "no-c-store-response"
    TLS_NOT_SPOKEN = "tls-not-spoken"
    TLS_WANTED = "tls-wanted"
    TLS_VERSION = "tls-version"
    TLS_CERTIFICATE = "tls-certificate"
    TLS_OWN_CERTIFICATE = "tls-own-certificate"
    TLS_FAILED = "tls-failed"
    TLS_FILES = "tls-files"
    UNREADABLE = "result-not-readable"
    NO_DICOM = "result-not-dicom"
    NOT_CONFIGURED = "destination-not-configured"
    EARLIER_RELEASE = "earlier-release"


_HAPPENED = {
    Cause.NOT_ACCEPTED: "no presentation context was accepted for",
    Cause.NOT_CONVERTED: "the object could not be converted to a transfer syntax that is accepted",
    Cause.NO_CONNECTION: "no connection",
    Cause.UNKNOWN_HOST: "the host name cannot be looked up",
    Cause.NO_ANSWER: "no answer to the association request",
    Cause.NOT_UNDERSTOOD: "the answer was not understood",
    Cause.CALLING_TITLE_UNKNOWN: "association rejected: calling AE title not recognised",
    Cause.CALLED_TITLE_UNKNOWN: "association rejected: called AE title not recognised",
    Cause.CONGESTED: "association rejected: too many at once",
    Cause.REJECTED: "association rejected",
    Cause.ABORTED: "the association was aborted",
    Cause.BROKEN: "the connection broke off",
    Cause.NOT_REACHED: "not tried: associations ended at other objects of this film",
    Cause.TIMED_OUT: "no answer to C-STORE",
    Cause.TLS_NOT_SPOKEN: "no TLS, and without it nothing is sent",
    Cause.TLS_WANTED: "the destination speaks TLS, and was called without",
    Cause.TLS_VERSION: "no TLS that is good enough",
    Cause.TLS_CERTIFICATE: "the destination's certificate is not accepted",
    Cause.TLS_OWN_CERTIFICATE: "our certificate is not accepted",
    Cause.TLS_FAILED: "TLS failed",
    Cause.TLS_FILES: "our own files for TLS cannot be used",
    Cause.UNREADABLE: "the result cannot be read",
    Cause.NO_DICOM: "the result is no longer a DICOM file",
    Cause.NOT_CONFIGURED: "the destination is no longer configured",
    Cause.EARLIER_RELEASE: "recorded by an earlier release",
}
_PERMANENT = (Cause.NOT_ACCEPTED, Cause.NOT_CONVERTED, Cause.NOT_CONFIGURED)


@dataclass(frozen=True)
class StatusRange:
    """Statuses of a C-STORE response that mean the same. ``last`` belongs to the range."""

    first: int
    last: int
    kind: Kind
    name: str


# PS3.4 B.2.3 and PS3.7 Annex C; the first row that holds a status decides
STORE_STATUSES = (
    StatusRange(0x0000, 0x0000, Kind.SUCCESS, "Success"),
    StatusRange(0x0001, 0x0001, Kind.WARNING, "Requested optional attributes not supported"),
    StatusRange(0x0107, 0x0107, Kind.WARNING, "Attribute list error"),
    StatusRange(0x0116, 0x0116, Kind.WARNING, "Attribute value out of range"),
    # our UIDs follow from the content, so what a PACS has under one is this very object
    StatusRange(0x0111, 0x0111, Kind.WARNING, "Duplicate SOP Instance"),
    StatusRange(0x0105, 0x0105, Kind.PERMANENT, "No such attribute"),
    StatusRange(0x0106, 0x0106, Kind.PERMANENT, "Invalid attribute value"),
    StatusRange(0x0110, 0x0110, Kind.TRANSIENT, "Processing failure"),
    StatusRange(0x0112, 0x0112, Kind.PERMANENT, "No such SOP Instance"),
    StatusRange(0x0113, 0x0113, Kind.PERMANENT, "No such event type"),
    StatusRange(0x0114, 0x0114, Kind.PERMANENT, "No such argument"),
    StatusRange(0x0115, 0x0115, Kind.PERMANENT, "Invalid argument value"),
    StatusRange(0x0117, 0x0117, Kind.PERMANENT, "Invalid SOP Instance"),
    StatusRange(0x0118, 0x0118, Kind.PERMANENT, "No such SOP Class"),
    StatusRange(0x0119, 0x0119, Kind.PERMANENT, "Class-Instance conflict"),
    StatusRange(0x0120, 0x0120, Kind.PERMANENT, "Missing attribute"),
    StatusRange(0x0121, 0x0121, Kind.PERMANENT, "Missing attribute value"),
    StatusRange(0x0122, 0x0122, Kind.PERMANENT, "SOP Class not supported"),
    StatusRange(0x0123, 0x0123, Kind.PERMANENT, "No such action"),
    StatusRange(0x0124, 0x0124, Kind.PERMANENT, "Not authorized"),
    StatusRange(0x0210, 0x0210, Kind.TRANSIENT, "Duplicate invocation"),
    StatusRange(0x0211, 0x0211, Kind.PERMANENT, "Unrecognized operation"),
    StatusRange(0x0212, 0x0212, Kind.PERMANENT, "Mistyped argument"),
    StatusRange(0x0213, 0x0213, Kind.TRANSIENT, "Resource limitation"),
    StatusRange(0xA700, 0xA7FF, Kind.TRANSIENT, "Out of resources"),
    StatusRange(0xA800, 0xA8FF, Kind.PERMANENT, "SOP Class not supported"),
    StatusRange(0xA900, 0xA9FF, Kind.PERMANENT, "Data set does not match SOP Class"),
    StatusRange(0xB000, 0xB000, Kind.WARNING, "Coercion of data elements"),
    StatusRange(0xB006, 0xB006, Kind.WARNING, "Elements discarded"),
    StatusRange(0xB007, 0xB007, Kind.WARNING, "Data set does not match SOP Class"),
    StatusRange(0xB000, 0xBFFF, Kind.WARNING, "Warning"),
    StatusRange(0xC000, 0xCFFF, Kind.PERMANENT, "Cannot understand"),
    StatusRange(0xFE00, 0xFE00, Kind.TRANSIENT, "Cancelled"),
    # a status that the Standard does not name: nothing says that it lasts
    StatusRange(0x0000, 0xFFFF, Kind.TRANSIENT, "Unknown status"),
)


def status_range(status: int) -> StatusRange:
    """Return what a status of a C-STORE response means."""
    return next(row for row in STORE_STATUSES if row.first <= status <= row.last)


@dataclass(frozen=True)
class Outcome:
    """How an attempt ended.

    Attributes
    ----------
    cause
        What it rests on.
    kind
        What follows from it.
    status
        The status of the C-STORE response, 0 to 0xFFFF; None when there was none.
    peer_text
        What the peer said in its own words: Error Comment, or the reason of a rejection; for
        NOT_ACCEPTED what it was that was not accepted; for TLS what failed. It may name a patient:
        it is shown, never logged.
    """

    cause: Cause
    kind: Kind
    status: int | None = None
    peer_text: str = ""

    @classmethod
    def of_status(cls, status: int, comment: str = "") -> "Outcome":
        """Return the outcome that a C-STORE response states."""
        return cls(Cause.STATUS, status_range(status).kind, status, comment)

    @classmethod
    def of(cls, cause: Cause, peer_text: str = "") -> "Outcome":
        """Return the outcome of an attempt without a C-STORE response."""
        kind = Kind.PERMANENT if cause in _PERMANENT else Kind.TRANSIENT
        return cls(cause, kind, None, peer_text)

    @property
    def delivered(self) -> bool:
        """Whether the destination now has the object."""
        return self.kind in (Kind.SUCCESS, Kind.WARNING)

    def __str__(self) -> str:
        """Say what happened, in a few words and the peer's own."""
        if self.status is None:
            happened = _HAPPENED[self.cause]
        else:
            happened = f"C-STORE: 0x{self.status:04X} {status_range(self.status).name}"
        return f"{happened}: {self.peer_text}" if self.peer_text else happened

    @property
    def code(self) -> str:
        """The outcome in one short text that names nobody: for logs and metrics."""
        return self.cause.value if self.status is None else f"0x{self.status:04X}"


DELIVERED = Outcome.of_status(SUCCESS)
