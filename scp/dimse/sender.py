"""The storage SCU: send objects to a destination, and report its status for each."""

from collections.abc import Generator, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from pydicom import Dataset
from pydicom.uid import UID, ImplicitVRLittleEndian
from pynetdicom import _config, evt
from pynetdicom.association import Association
from pynetdicom.presentation import build_context
from pynetdicom.sop_class import Verification

from scp.config.destinations import DestinationSettings
from scp.dimse.association import NotAssociated, Reason, associate, ended
from scp.dimse.conversion import CONVERTIBLE_TO, NotConverted, converted
from scp.dimse.tls_failures import Fault
from scp.errors import SUCCESS
from scp.outcomes.delivery import Cause, Outcome
from scp.outcomes.sending import Object, Sent, Unreachable

# files go out byte for byte as they are, in pieces: never decoded, never whole in memory
_config.STORE_SEND_CHUNKED_DATASET = True
_MOST_CONTEXTS = 128  # PS3.8 9.3.2.2: odd numbers up to 255
# associations in one attempt that ended at an object: a destination that hangs costs its timeout
_MOST_BREAKS = 3


def send(
    destination: DestinationSettings, calling_ae_title: str, objects: Sequence[Object]
) -> Generator[Sent]:
    """C-STORE each object; yield how it went with each, in the order of ``objects``.

    An object at which the association ends does not keep the others back: they go over another
    one, until that has happened `_MOST_BREAKS` times.

    Raises
    ------
    Unreachable
        No association, or too many that ended early; what was yielded before is valid.
    """
    breaks = 0
    for batch in _batches(objects):
        left = list(batch)
        while left:
            if breaks >= _MOST_BREAKS:
                raise Unreachable(destination, Outcome.of(Cause.NOT_REACHED))
            proposed = sorted({context for item in left for context in _contexts(item)})
            with _association(destination, calling_ae_title, proposed) as association:
                while left and (association is None or association.is_established):
                    yield _store(association, left.pop(0))
            breaks += association is not None and not association.is_released


def _contexts(item: Object) -> list[tuple[str, str]]:
    """Return the pairs of SOP class and transfer syntax that are proposed for an object.

    Its own syntax, and what hilum can convert it to: Implicit VR Little Endian is the one that
    everybody takes and that has to be proposed (PS3.5 10.1).
    """
    own = item.transfer_syntax_uid
    return [(item.sop_class_uid, s) for s in dict.fromkeys((own, *CONVERTIBLE_TO))]


def _batches(objects: Sequence[Object]) -> Iterator[list[Object]]:
    """Split before the object that would need one presentation context too many."""
    batch: list[Object] = []
    contexts: set[tuple[str, str]] = set()
    for item in objects:
        if len(contexts.union(_contexts(item))) > _MOST_CONTEXTS:
            yield batch
            batch, contexts = [], set()
        batch.append(item)
        contexts.update(_contexts(item))
    if batch:
        yield batch


def echo(destination: DestinationSettings, calling_ae_title: str) -> None:
    """C-ECHO. Raises `Unreachable` unless it is answered with Success."""
    proposed = [(str(Verification), str(ImplicitVRLittleEndian))]
    with _association(destination, calling_ae_title, proposed) as association:
        if association is None:
            raise Unreachable(destination, Outcome.of(Cause.NOT_ACCEPTED, "C-ECHO"))
        status = association.send_c_echo().get("Status")
        if status is None:
            raise Unreachable(destination, Outcome.of(_silence(association)))
        if status != SUCCESS:
            raise Unreachable(destination, Outcome.of_status(status, "to C-ECHO"))


def refused(
    destination: DestinationSettings, calling_ae_title: str, contexts: Sequence[tuple[str, str]]
) -> list[tuple[str, str]]:
    """Return which pairs of SOP class and transfer syntax a destination takes in no way.

    Raises
    ------
    Unreachable
        No association.
    """
    objects = [Object(Path(), sop_class, "", syntax) for sop_class, syntax in contexts]
    proposed = sorted({context for item in objects for context in _contexts(item)})
    with _association(destination, calling_ae_title, proposed) as association:
        return [
            (item.sop_class_uid, item.transfer_syntax_uid)
            for item in objects
            if association is None or _accepted(association, item) is None
        ]


@contextmanager
def _association(
    destination: DestinationSettings, calling_ae_title: str, contexts: Sequence[tuple[str, str]]
) -> Iterator[Association | None]:
    """Associate, one presentation context per SOP class and transfer syntax; release at the end.

    Yields None when the destination answers and accepts none of the contexts.
    """
    try:
        association = associate(
            destination,
            calling_ae_title,
            [build_context(sop_class, syntax) for sop_class, syntax in contexts],
            timeout_s=destination.timeout_s,
            network_timeout_s=destination.timeout_s,
            handlers=[(evt.EVT_CONN_OPEN, _limit_silence)],
        )
    except NotAssociated as error:
        if error.reason is not Reason.NO_CONTEXT:
            raise Unreachable(destination, _outcome(error)) from error
        yield None
        return
    try:
        yield association
    finally:
        if association.is_established:
            association.release()


def _limit_silence(event: evt.Event) -> None:
    """Let a peer that falls silent within a PDU be given up as any other."""
    event.assoc.dul.socket.socket.settimeout(event.assoc.network_timeout)


# A-ASSOCIATE-RJ by source and reason (PS3.8 9.3.4)
_REJECTIONS = {
    (1, 3): Cause.CALLING_TITLE_UNKNOWN,
    (1, 7): Cause.CALLED_TITLE_UNKNOWN,
    (3, 1): Cause.CONGESTED,
    (3, 2): Cause.CONGESTED,
}


_CAUSES = {
    Reason.HOST_UNKNOWN: Cause.UNKNOWN_HOST,
    Reason.NO_CONNECTION: Cause.NO_CONNECTION,
    Reason.NO_ANSWER: Cause.NO_ANSWER,
    Reason.NOT_UNDERSTOOD: Cause.NOT_UNDERSTOOD,
    Reason.ABORTED: Cause.ABORTED,
    Reason.CLOSED: Cause.BROKEN,
    Reason.TLS: Cause.TLS_FAILED,
    Reason.TLS_WANTED: Cause.TLS_WANTED,
    Reason.OWN_FILES: Cause.TLS_FILES,
}
_TLS_CAUSES = {
    Fault.NOT_TLS: Cause.TLS_NOT_SPOKEN,
    Fault.VERSION: Cause.TLS_VERSION,
    Fault.CERTIFICATE: Cause.TLS_CERTIFICATE,
    Fault.OWN_CERTIFICATE: Cause.TLS_OWN_CERTIFICATE,
}


def _outcome(error: NotAssociated) -> Outcome:
    """Return how an attempt without an association ended."""
    answer = error.rejection
    if error.tls is not None:
        return Outcome.of(_TLS_CAUSES.get(error.tls.fault, Cause.TLS_FAILED), error.text)
    if answer is None:
        return Outcome.of(_CAUSES[error.reason], error.text)
    cause = _REJECTIONS.get((answer.result_source, answer.diagnostic), Cause.REJECTED)
    return Outcome.of(cause, answer.reason_str if cause is Cause.REJECTED else "")


def _silence(association: Association) -> Cause:
    """Return why an operation was not answered."""
    reason = ended(association)
    return _CAUSES[reason] if reason else Cause.TIMED_OUT


def _accepted(association: Association, item: Object) -> str | None:
    """Return the transfer syntax in which an object can go: its own before any other."""
    accepted = {
        (str(context.abstract_syntax), str(syntax))
        for context in association.accepted_contexts
        for syntax in context.transfer_syntax
    }
    return next(
        (syntax for pair in _contexts(item) if pair in accepted for syntax in pair[1:]), None
    )


def _store(association: Association | None, item: Object) -> Sent:
    syntax = None if association is None else _accepted(association, item)
    if association is None or syntax is None:
        own = UID(item.transfer_syntax_uid).name
        text = f"{UID(item.sop_class_uid).name} as {own}"
        return Sent(item.sop_instance_uid, Outcome.of(Cause.NOT_ACCEPTED, text))
    try:
        as_it_is = syntax == item.transfer_syntax_uid
        content = item.path if as_it_is else converted(item.path, UID(syntax))
    except OSError as error:
        return Sent(item.sop_instance_uid, Outcome.of(Cause.UNREADABLE, error.strerror or ""))
    except NotConverted as error:
        return Sent(item.sop_instance_uid, Outcome.of(Cause.NOT_CONVERTED, str(error)))
    return Sent(item.sop_instance_uid, _answer(association, content))


def _answer(association: Association, content: Path | Dataset) -> Outcome:
    """C-STORE; whatever goes wrong on the way ends the association, and no other object."""
    try:
        answer = association.send_c_store(content)
    except OSError as error:  # the destination waits for the rest, so nothing else can follow
        association.abort()
        return Outcome.of(Cause.UNREADABLE, error.strerror or "")
    except Exception:  # pynetdicom, on an association that ends or an answer that is none
        association.abort()
        return Outcome.of(_silence(association))
    status = answer.get("Status")
    if status is None:
        cause = _silence(association)
        association.abort()  # pynetdicom may not have noticed yet that it is over
        return Outcome.of(cause)
    return Outcome.of_status(status, str(answer.get("ErrorComment", "")).strip())
