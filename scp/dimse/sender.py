"""The storage SCU: bring objects to a destination, and report what it said of each."""

from collections.abc import Generator, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field
from pydicom.errors import InvalidDicomError
from pydicom.filereader import read_file_meta_info
from pydicom.uid import UID
from pynetdicom import AE, _config, evt
from pynetdicom.association import Association
from pynetdicom.presentation import build_context
from pynetdicom.sop_class import Verification
from pynetdicom.status import code_to_category

from scp.dimse.peers import AETitle
from scp.errors import SUCCESS, HilumError

# files go out byte for byte as they are, in pieces: never decoded, never whole in memory
_config.STORE_SEND_CHUNKED_DATASET = True
_MOST_CONTEXTS = 128  # PS3.8 9.3.2.2: odd numbers up to 255


class DestinationSettings(BaseModel):
    """Where results go."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str = Field(pattern=r"^[A-Za-z0-9_.-]{1,40}$", description="what logs and pages call it")
    ae_title: AETitle = Field(description="its AE title")
    host: str = Field(description="its address or host name")
    port: int = Field(ge=1, le=65535, description="its DICOM port")
    timeout_s: float = Field(
        30, gt=0, description="seconds without an answer after which an attempt has failed"
    )
    first_retry_s: float = Field(
        5, gt=0, description="seconds until the second attempt; each further wait is twice as long"
    )
    longest_retry_s: float = Field(
        300, gt=0, description="the longest wait: a PACS that returns gets its results within it"
    )
    give_up_after_h: float = Field(
        72, gt=0, description="hours until a dead letter: longer than a weekend's outage"
    )


class Unreachable(HilumError):
    """The destination could not be spoken to at all."""


@dataclass(frozen=True)
class Object:
    """A Part 10 file to send."""

    path: Path
    sop_class_uid: str
    sop_instance_uid: str
    transfer_syntax_uid: str


@dataclass(frozen=True)
class Sent:
    """What the destination said of one object: delivered only on Success (0x0000)."""

    sop_instance_uid: str
    status: int | None
    error: str

    @property
    def delivered(self) -> bool:
        """Whether the destination now has it."""
        return self.status == SUCCESS


def describe(path: Path) -> Object:
    """Return what a file is.

    Raises
    ------
    InvalidDicomError
        It is no Part 10 file, or does not say what it holds.
    OSError
        It cannot be read.
    """
    try:
        meta = read_file_meta_info(path)
        return Object(
            path,
            str(meta.MediaStorageSOPClassUID),
            str(meta.MediaStorageSOPInstanceUID),
            str(meta.TransferSyntaxUID),
        )
    except (InvalidDicomError, OSError):
        raise
    except Exception as error:  # a parser's answer to odd bytes may be anything
        raise InvalidDicomError(
            f"its file meta information cannot be used ({type(error).__name__})"
        ) from error


def send(
    destination: DestinationSettings, calling_ae_title: str, objects: Sequence[Object]
) -> Generator[Sent]:
    """C-STORE each object; yield the answer to each as it comes, in the order of ``objects``.

    One association, or more when they are of more kinds than one can carry.

    Raises
    ------
    Unreachable
        No association, or it broke; what was yielded before stands.
    """
    for batch in _batches(objects):
        contexts = {_context_of(item) for item in batch}
        with _association(destination, calling_ae_title, sorted(contexts)) as association:
            for item in batch:
                if not association.is_established:
                    raise Unreachable("the association broke off")
                yield _store(association, item)


def _context_of(item: Object) -> tuple[str, str]:
    return item.sop_class_uid, item.transfer_syntax_uid


def _batches(objects: Sequence[Object]) -> Iterator[list[Object]]:
    """Split before the object that would need one presentation context too many."""
    batch: list[Object] = []
    contexts: set[tuple[str, str]] = set()
    for item in objects:
        if len(contexts | {_context_of(item)}) > _MOST_CONTEXTS:
            yield batch
            batch, contexts = [], set()
        batch.append(item)
        contexts.add(_context_of(item))
    if batch:
        yield batch


def echo(destination: DestinationSettings, calling_ae_title: str) -> None:
    """C-ECHO. Raises `Unreachable` unless it is answered with Success."""
    with _association(destination, calling_ae_title, [(Verification, "")]) as association:
        status = association.send_c_echo()
        if status.get("Status") != SUCCESS:
            raise Unreachable("C-ECHO was not answered with Success")


def refused(
    destination: DestinationSettings, calling_ae_title: str, contexts: Sequence[tuple[str, str]]
) -> list[tuple[str, str]]:
    """Return which pairs of SOP class and transfer syntax a destination does not take.

    Raises
    ------
    Unreachable
        No association.
    """
    wanted = [(Verification, ""), *contexts]
    with _association(destination, calling_ae_title, wanted) as association:
        taken = {
            (str(context.abstract_syntax), str(syntax))
            for context in association.accepted_contexts
            for syntax in context.transfer_syntax
        }
    return [context for context in contexts if context not in taken]


@contextmanager
def _association(
    destination: DestinationSettings, calling_ae_title: str, contexts: Sequence[tuple[str, str]]
) -> Iterator[Association]:
    """Associate, one presentation context per SOP class and transfer syntax; release at the end."""
    ae = AE(ae_title=calling_ae_title)
    ae.connection_timeout = ae.acse_timeout = destination.timeout_s
    ae.dimse_timeout = ae.network_timeout = destination.timeout_s
    try:
        association = ae.associate(
            destination.host,
            destination.port,
            ae_title=destination.ae_title,
            contexts=[build_context(sop_class, syntax or None) for sop_class, syntax in contexts],
            evt_handlers=[(evt.EVT_CONN_OPEN, _limit_silence)],
        )
    except (OSError, UnicodeError) as error:  # the host's name
        raise Unreachable(f"{destination.host} cannot be looked up: {error}") from error
    if not association.is_established:
        raise Unreachable(_why_not(association, destination))
    try:
        yield association
    finally:
        if association.is_established:
            association.release()


def _limit_silence(event: evt.Event) -> None:
    """Let a peer that falls silent within a PDU be given up as any other."""
    event.assoc.dul.socket.socket.settimeout(event.assoc.network_timeout)


def _why_not(association: Association, destination: DestinationSettings) -> str:
    """Say why there is no association."""
    where = f"{destination.ae_title} at {destination.host}:{destination.port}"
    if association.is_rejected:
        answer = association.acceptor.primitive
        return f"{where} rejected the association: {answer.reason_str}"
    if association.rejected_contexts:
        kinds = sorted(
            {UID(context.abstract_syntax).name for context in association.rejected_contexts}
        )
        return f"{where} accepts none of {', '.join(kinds)}"
    return f"{where} does not answer"


def _store(association: Association, item: Object) -> Sent:
    accepted = any(
        context.abstract_syntax == item.sop_class_uid
        and item.transfer_syntax_uid in context.transfer_syntax
        for context in association.accepted_contexts
    )
    if not accepted:
        name = UID(item.sop_class_uid).name
        syntax = UID(item.transfer_syntax_uid).name
        return Sent(item.sop_instance_uid, None, f"the destination accepts no {name} as {syntax}")
    try:
        answer = association.send_c_store(item.path)
    except OSError as error:  # the destination waits for the rest, so nothing else can follow
        association.abort()
        return Sent(item.sop_instance_uid, None, f"the file cannot be read: {error.strerror}")
    except RuntimeError as error:
        raise Unreachable("the association broke off") from error
    status = answer.get("Status")
    if status is None:
        association.abort()  # pynetdicom may not have noticed yet that it is over
        return Sent(item.sop_instance_uid, None, "no answer to C-STORE")
    if status == SUCCESS:
        return Sent(item.sop_instance_uid, SUCCESS, "")
    comment = str(answer.get("ErrorComment", "")).strip()
    text = f"C-STORE answered 0x{status:04X} ({code_to_category(status)})"
    return Sent(item.sop_instance_uid, status, f"{text}: {comment}" if comment else text)
