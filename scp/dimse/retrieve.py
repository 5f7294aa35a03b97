"""The retrieve SCU: bring priors here, by C-GET on our own connection or by C-MOVE to our receiver.

Each object is an operation of its own at IMAGE level (PS3.4 C.4.2, C.4.3), so that it is known of
each whether it came: of several in one, many PACS tell only how many failed.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import structlog
from pydicom import Dataset
from pydicom.uid import UID
from pynetdicom import build_role
from pynetdicom.presentation import build_context
from pynetdicom.sop_class import (
    StudyRootQueryRetrieveInformationModelGet,
    StudyRootQueryRetrieveInformationModelMove,
)
from pynetdicom.status import QR_GET_SERVICE_CLASS_STATUS, QR_MOVE_SERVICE_CLASS_STATUS

from scp.config.priors import PriorsSettings
from scp.dimse.deadline import Deadline
from scp.dimse.peers import QUERY_SYNTAXES, TRANSFER_SYNTAXES
from scp.dimse.priors import Current, Found, Image
from scp.dimse.query import FIND, find_priors
from scp.dimse.receiver import accepted_sop_classes
from scp.dimse.request import Take
from scp.dimse.requestor import (
    Requested,
    associated,
    is_accepted,
    nothing_accepted,
    status_text,
)
from scp.dimse.suboperations import SubOperations
from scp.errors import SUCCESS, PriorsUnavailable, RetrieveFailed

log = structlog.get_logger(__name__)

GET = UID(StudyRootQueryRetrieveInformationModelGet)
MOVE = UID(StudyRootQueryRetrieveInformationModelMove)


@dataclass(frozen=True)
class Retrieved:
    """SOP Instance UIDs that came and that did not, and the sub-operations that the PACS counted.

    ``warning`` ones came, but the PACS or we had something to say of them (PS3.4 C.4.2.1.6).
    """

    arrived: tuple[str, ...]
    missing: tuple[str, ...]
    completed: int = 0
    warning: int = 0
    failed: int = 0


@dataclass
class _Tally:
    """What has become of the objects so far."""

    images: Sequence[Image]
    deadline: Deadline
    arrived: list[str] = field(default_factory=list)
    completed: int = 0
    warning: int = 0
    failed: int = 0
    failures: list[str] = field(default_factory=list)

    def add(self, elements: Dataset) -> None:
        """Count the sub-operations of one operation's final response; the counts are optional."""
        self.completed += int(elements.get("NumberOfCompletedSuboperations") or 0)
        self.warning += int(elements.get("NumberOfWarningSuboperations") or 0)
        self.failed += int(elements.get("NumberOfFailedSuboperations") or 0)

    @property
    def so_far(self) -> Retrieved:
        """What has come, and what has not yet."""
        missing = tuple(i.sop_uid for i in self.images if i.sop_uid not in self.arrived)
        return Retrieved(tuple(self.arrived), missing, self.completed, self.warning, self.failed)


def see_services(settings: PriorsSettings, calling_ae_title: str) -> None:
    """See that the PACS accepts us and offers what is asked of it. Raises PriorsUnavailable."""
    needed = [FIND, MOVE if settings.retrieve == "move" else GET]
    contexts = [build_context(uid, QUERY_SYNTAXES) for uid in needed]
    deadline = Deadline(settings.timeout_s)
    with associated(settings.remote, calling_ae_title, contexts, deadline, needed=needed):
        pass


def fetch_priors(
    settings: PriorsSettings,
    calling_ae_title: str,
    current: Current,
    take: Take,
    folder: Path,
    *,
    secondary_captures: bool = False,
    held: Callable[[str], bool] = lambda _uid: False,
) -> tuple[Found, Retrieved]:
    """Find and retrieve priors within one time limit; see `find_priors` and `retrieve`."""
    deadline = Deadline(settings.timeout_s)
    found = find_priors(
        settings,
        calling_ae_title,
        current,
        deadline,
        secondary_captures=secondary_captures,
        held=held,
    )
    return found, retrieve(settings, calling_ae_title, found.images, deadline, take, folder)


def retrieve(
    settings: PriorsSettings,
    calling_ae_title: str,
    images: Sequence[Image],
    deadline: Deadline,
    take: Take,
    folder: Path,
) -> Retrieved:
    """Bring objects here, in the order given; when this returns, all of them have come.

    Parameters
    ----------
    calling_ae_title
        Our AE title; for C-MOVE also the destination, so it must be the receiver's.
    take
        C-GET: called with each received file and what the PACS said of it; `Refused` is answered
        with its status. The file is deleted afterwards unless it was moved away. C-MOVE: not
        called, the receiver takes in.
    folder
        C-GET: where files are put for ``take``; on the archive's file system, to be renamed.

    Raises
    ------
    PriorsUnavailable
        A subclass says what went wrong; ``arrived`` and ``missing`` say of which objects.
    """
    tally = _Tally(images, deadline)
    try:
        if images and settings.retrieve == "move":
            _move_all(settings, calling_ae_title, tally)
        elif images and settings.retrieve == "get":
            store = SubOperations(images, take, folder, deadline, tally.arrived)
            _get_all(settings, calling_ae_title, tally, store)
    except PriorsUnavailable as error:
        so_far = tally.so_far
        raise type(error)(
            f"{error}; still missing: {', '.join(so_far.missing) or 'nothing'}",
            arrived=so_far.arrived,
            missing=so_far.missing,
        ) from error
    return _judged(settings, tally)


def _judged(settings: PriorsSettings, tally: _Tally) -> Retrieved:
    """Return what came when it is all; else raise."""
    retrieved = tally.so_far
    counts = {"completed": tally.completed, "warning": tally.warning, "failed": tally.failed}
    log.info(
        "priors retrieved",
        pacs=settings.ae_title,
        arrived=retrieved.arrived,
        missing=retrieved.missing,
        **counts,
    )
    if retrieved.missing:
        raise RetrieveFailed(
            f"{settings.remote} did not send all priors (sub-operations:"
            f" {', '.join(f'{n} {word}' for word, n in counts.items())}):"
            f" {'; '.join(tally.failures)}",
            arrived=retrieved.arrived,
            missing=retrieved.missing,
        )
    return retrieved


@dataclass(frozen=True)
class _Operation:
    """C-GET or C-MOVE, as one loop needs to know it."""

    name: str
    model: UID
    words: Mapping[int, tuple[str, str]]
    send: Callable[..., Iterator[tuple[Dataset, Dataset | None]]]
    arguments: tuple[str, ...] = ()


def _get_all(
    settings: PriorsSettings, calling_ae_title: str, tally: _Tally, store: SubOperations
) -> None:
    """C-GET each object (PS3.4 C.4.3): we are the SCP of its storage on the same association.

    One presentation context per storage class and transfer syntax: of several syntaxes in one the
    PACS would have to choose a single one for all it has, and convert.
    """
    classes = accepted_sop_classes(secondary_captures=True)
    storage = [build_context(uid, syntax) for uid in classes for syntax in TRANSFER_SYNTAXES]
    with associated(
        settings.remote,
        calling_ae_title,
        [
            build_context(FIND, QUERY_SYNTAXES),
            build_context(GET, QUERY_SYNTAXES),
            *storage,
        ],  # some refuse GET without FIND
        tally.deadline,
        needed=[GET],
        roles=[build_role(uid, scp_role=True) for uid in classes],
        on_store=store.on_store,
    ) as requested:
        association = requested.association
        if not any(is_accepted(association, uid) for uid in classes):
            raise nothing_accepted(settings.remote, classes)
        get = _Operation("C-GET", GET, QR_GET_SERVICE_CLASS_STATUS, association.send_c_get)
        for image, _, why in _each(requested, get, tally):
            if image.sop_uid not in tally.arrived:
                ours = store.refused.get(image.sop_uid)  # why we did not take it says more
                tally.failures.append(f"{image.sop_uid}: {ours or why}")


def _move_all(settings: PriorsSettings, calling_ae_title: str, tally: _Tally) -> None:
    """C-MOVE each object to ourselves (PS3.4 C.4.2): the PACS associates with our receiver."""
    with associated(
        settings.remote,
        calling_ae_title,
        [build_context(FIND, QUERY_SYNTAXES), build_context(MOVE, QUERY_SYNTAXES)],
        tally.deadline,
        needed=[MOVE],
    ) as requested:
        send = requested.association.send_c_move
        move = _Operation("C-MOVE", MOVE, QR_MOVE_SERVICE_CLASS_STATUS, send, (calling_ae_title,))
        for image, came, why in _each(requested, move, tally):
            if came:
                tally.arrived.append(image.sop_uid)
            else:
                tally.failures.append(f"{image.sop_uid}: {why}")


def _each(
    requested: Requested, operation: _Operation, tally: _Tally
) -> Iterator[tuple[Image, bool, str]]:
    """Ask for one object after the other; yield whether the PACS says it came, and in words."""
    for number, image in enumerate(tally.images, start=1):
        identifier = Dataset()
        identifier.QueryRetrieveLevel = "IMAGE"
        identifier.StudyInstanceUID = image.study_uid
        identifier.SeriesInstanceUID = image.series_uid
        identifier.SOPInstanceUID = image.sop_uid
        responses = requested.answers(
            operation.send,
            identifier,
            *operation.arguments,
            model=operation.model,
            message_id=number,
        )
        status, elements, _ = list(responses)[-1]
        tally.add(elements)
        yield image, _came(status, elements), status_text(operation.name, status, operation.words)


def _came(status: int, elements: Dataset) -> bool:
    """Whether C-MOVE brought its object: by the counts, or by Success where there are none."""
    completed = elements.get("NumberOfCompletedSuboperations")
    warning = elements.get("NumberOfWarningSuboperations")
    if completed is None and warning is None:
        return status == SUCCESS
    return int(completed or 0) + int(warning or 0) > 0
