"""An association that hilum requests and that ends by a deadline, whatever the peer does.

::

    deadline - grace    C-CANCEL of the operation that runs: the peer may end it in good order
    deadline            A-ABORT
    deadline + grace    the connection is closed, also under a peer that is silent within a PDU
"""

import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass

from pydicom import Dataset
from pydicom.uid import UID
from pynetdicom import _config, evt
from pynetdicom.association import Association
from pynetdicom.pdu_primitives import SCP_SCU_RoleSelectionNegotiation
from pynetdicom.presentation import PresentationContext
from pynetdicom.status import code_to_category

from scp.config.priors import Remote
from scp.dimse.association import (
    Handler,
    NotAssociated,
    Reason,
    associate,
    ended,
    hang_up,
)
from scp.dimse.deadline import GRACE_S, Deadline, too_late
from scp.errors import (
    AssociationRejected,
    DeadlinePassed,
    NothingAccepted,
    NotSecured,
    PeerUnreachable,
    PriorsUnavailable,
)

# what is asked and answered names patients: pynetdicom is not to write it to any log
_config.LOG_REQUEST_IDENTIFIERS = False
_config.LOG_RESPONSE_IDENTIFIERS = False

CANCELLED = 0xFE00  # terminated due to C-CANCEL (PS3.4 C.4)
_PDU_BYTES = 131072  # as the receiver's
# A-ASSOCIATE-RJ by the service user (PS3.8 9.3.4): what a site can do about it
_ADVICE = {
    3: "enter our AE title and address at the PACS",
    7: "[priors] ae_title is not what the PACS calls itself",
}


@dataclass(frozen=True)
class Requested:
    """An association that stands, with its peer and its deadline."""

    association: Association
    remote: Remote
    deadline: Deadline

    def answers(
        self,
        send: Callable[..., Iterator[tuple[Dataset, Dataset | None]]],
        identifier: Dataset,
        *arguments: str,
        model: UID,
        message_id: int = 1,
    ) -> Iterator[tuple[int, Dataset, Dataset | None]]:
        """Yield (status, status elements, identifier) of every response to one request.

        To be iterated to its end: a response that nobody takes would be the next request's.

        Raises
        ------
        DeadlinePassed
            Nothing, or only C-CANCEL's answer, came in time.
        PeerUnreachable
            The association broke.
        """
        self.deadline.require(self.remote)
        association = self.association
        association.dimse_timeout = self.deadline.remaining_s
        with self._cancelling(model, message_id):
            try:
                responses = send(identifier, *arguments, query_model=model, msg_id=message_id)
            except RuntimeError as error:
                raise self._broken() from error
            for elements, found in responses:
                status = elements.get("Status")
                if status is None:
                    raise self._broken()
                if status == CANCELLED and self.deadline.remaining_s <= self.deadline.grace_s:
                    raise too_late(self.remote, self.deadline)
                yield int(status), elements, found
                association.dimse_timeout = self.deadline.remaining_s

    def cancel(self, model: UID, message_id: int) -> None:
        """C-CANCEL an operation (PS3.7 9.3.2.3); it ends with its own final response."""
        with suppress(RuntimeError, ValueError):  # the association ended this very moment
            self.association.send_c_cancel(message_id, query_model=model)

    @contextmanager
    def _cancelling(self, model: UID, message_id: int) -> Iterator[None]:
        """Cancel what runs inside shortly before the deadline."""
        wait_s = self.deadline.remaining_s - self.deadline.grace_s
        timer = threading.Timer(max(0.0, wait_s), self.cancel, (model, message_id))
        timer.start()
        try:
            yield
        finally:
            timer.cancel()

    def _broken(self) -> DeadlinePassed | PeerUnreachable:
        if self.deadline.passed:
            return too_late(self.remote, self.deadline)
        reason = ended(self.association)
        why = (
            _UNREACHABLE[reason]
            if reason in _SAID_WHY
            else "broke the association off: see its log"
        )
        return PeerUnreachable(f"{self.remote} {why}")


@contextmanager
def associated(
    remote: Remote,
    calling_ae_title: str,
    contexts: Sequence[PresentationContext],
    deadline: Deadline,
    *,
    needed: Sequence[UID],
    roles: Sequence[SCP_SCU_RoleSelectionNegotiation] = (),
    on_store: Callable[[evt.Event], int] | None = None,
) -> Iterator[Requested]:
    """Associate; release at the end, or abort when that is no longer possible.

    ``needed`` are the abstract syntaxes without which there is nothing to talk about. ``roles`` and
    ``on_store`` are for C-GET, which stores on this association (PS3.7 D.3.3.4).

    Raises
    ------
    PeerUnreachable, AssociationRejected, NothingAccepted, DeadlinePassed
        There is no association; the text says why and what to do.
    """
    deadline.require(remote)
    watch = _ConnectionTimer(deadline)
    handlers: list[Handler] = [(evt.EVT_CONN_OPEN, watch.begin)]
    if on_store is not None:
        handlers.append((evt.EVT_C_STORE, on_store))
    try:
        association = _associate(remote, calling_ae_title, contexts, deadline, roles, handlers)
        try:
            refused = [uid for uid in needed if not is_accepted(association, uid)]
            if refused:
                raise nothing_accepted(remote, refused)
            yield Requested(association, remote, deadline)
        finally:
            _end(association, deadline)
    finally:
        watch.end()


def _associate(
    remote: Remote,
    calling_ae_title: str,
    contexts: Sequence[PresentationContext],
    deadline: Deadline,
    roles: Sequence[SCP_SCU_RoleSelectionNegotiation],
    handlers: list[Handler],
) -> Association:
    try:
        association = associate(
            remote,
            calling_ae_title,
            contexts,
            timeout_s=deadline.remaining_s,
            network_timeout_s=deadline.seconds,
            handlers=handlers,
            roles=roles,
            max_pdu_bytes=_PDU_BYTES,
        )
    except NotAssociated as error:
        raise _unavailable(error, remote, calling_ae_title, contexts, deadline) from error
    # from here on it bounds only how long we wait for the peer after A-RELEASE-RQ and A-ABORT
    association.acse_timeout = GRACE_S
    return association


def _unavailable(
    error: NotAssociated,
    remote: Remote,
    calling_ae_title: str,
    contexts: Sequence[PresentationContext],
    deadline: Deadline,
) -> PriorsUnavailable:
    """Return the error that says why there is no association, and what to do."""
    if (answer := error.rejection) is not None:
        advice = _ADVICE.get(answer.diagnostic) if answer.result_source == 1 else None
        return AssociationRejected(
            f"{remote} rejected the association asked for by {calling_ae_title}:"
            f" {answer.reason_str}; {advice or 'see its log, or try later'}"
        )
    if error.reason is Reason.NO_CONTEXT:
        return nothing_accepted(remote, [cx.abstract_syntax for cx in contexts])
    silent = (Reason.NO_CONNECTION, Reason.NO_ANSWER, Reason.CLOSED, Reason.TLS)
    if error.reason in silent and deadline.passed:
        return too_late(remote, deadline)
    if error.reason in (Reason.TLS, Reason.OWN_FILES):
        return NotSecured(
            f"{remote} was not asked, for want of TLS: {error.text}; see [priors.tls]"
        )
    return PeerUnreachable(f"{remote} {_UNREACHABLE[error.reason]}")


_NO_ANSWER = "does not answer: is it running, and are [priors] host and port right?"
_UNREACHABLE = {
    Reason.HOST_UNKNOWN: "cannot be looked up by its host name; check [priors] host",
    Reason.NO_CONNECTION: _NO_ANSWER,
    Reason.NO_ANSWER: _NO_ANSWER,
    Reason.CLOSED: "closed the connection before a complete answer: see its log, or is"
    " another service on [priors] port?",
    Reason.ABORTED: "aborted the association: see its log",
    Reason.TLS_WANTED: "speaks TLS, and was called without: see [priors.tls]",
    Reason.NOT_UNDERSTOOD: "answered with something that hilum cannot read as DICOM: is"
    " another service on [priors] port?",
}

_SAID_WHY = (Reason.ABORTED, Reason.NOT_UNDERSTOOD, Reason.TLS_WANTED)


def status_text(operation: str, status: int | None, words: Mapping[int, tuple[str, str]]) -> str:
    """Say how an operation ended; a peer's own comment may quote the patient, so it is left out."""
    if status is None:
        return f"did not answer {operation}"
    text = words.get(status, ("", code_to_category(status)))[1]
    return f"ended {operation} with 0x{status:04X} ({text})"


def is_accepted(association: Association, abstract_syntax: str) -> bool:
    """Whether any presentation context of an abstract syntax was accepted."""
    return any(cx.abstract_syntax == abstract_syntax for cx in association.accepted_contexts)


def nothing_accepted(remote: Remote, abstract_syntaxes: Sequence[str]) -> NothingAccepted:
    """Return the error that names the services a peer does not offer us."""
    names = sorted({UID(uid).name for uid in abstract_syntaxes})
    return NothingAccepted(
        f"{remote} accepts none of {', '.join(names)}: configure it to, or choose another "
        "[priors] retrieve"
    )


def _end(association: Association, deadline: Deadline) -> None:
    """Release, or abort when no time is left to wait for the peer's answer."""
    if deadline.passed:
        association.abort()
    else:
        association.release()


class _ConnectionTimer:
    """Closes a connection some time after the deadline, for whoever still waits on it."""

    def __init__(self, deadline: Deadline) -> None:
        self._deadline = deadline
        self._timer: threading.Timer | None = None

    def begin(self, event: evt.Event) -> None:
        """Start with the connection: the peer may fall silent before the association stands."""
        wait_s = self._deadline.remaining_s + self._deadline.grace_s
        event.assoc.acse_timeout = self._deadline.remaining_s
        # a recv must not give up earlier than this watch does
        event.assoc.dul.socket.socket.settimeout(self._deadline.seconds + 2 * GRACE_S)
        self._timer = threading.Timer(wait_s, hang_up, (event.assoc,))
        self._timer.start()

    def end(self) -> None:
        """Let the connection be."""
        if self._timer is not None:
            self._timer.cancel()
