"""Take one received object in: archive, index and queue, or refuse it and keep the bytes."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import datetime, tzinfo
from pathlib import Path
from time import monotonic

import sqlalchemy as sa
import structlog
from pydicom import FileDataset
from pydicom.datadict import keyword_for_tag
from pydicom.errors import InvalidDicomError
from pydicom.filereader import read_file_meta_info, read_partial
from pydicom.tag import BaseTag
from pydicom.uid import DeflatedExplicitVRLittleEndian
from pynetdicom.dsutils import split_dataset
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from inference.image.dicom_file import read_dicom
from inference.image.undecodable import NotAFilm
from scp.archive import Archive, Stored, stamp
from scp.config.patients import PatientsSettings
from scp.config.time_zone import SERVER_ZONE
from scp.config.worklist import WorklistSettings
from scp.dimse.request import Request
from scp.errors import ArchiveFull, ClassMismatch, Conflict, Refused, Unreadable
from scp.index import films, prior_choices
from scp.index.registration import (
    Identity,
    Recorded,
    identify,
    promote_fetched,
    record_refusal,
    register,
)
from scp.index.worklist.urgency import UNKNOWN
from scp.pipeline.patience import is_away
from scp.pipeline.queue import Jobs
from scp.pipeline.reanswer import enqueue_reanswers
from scp.pipeline.resent import Corrections, Resent

log = structlog.get_logger(__name__)

_UNDEFINED = 0xFFFFFFFF  # length of a sequence that ends by a delimiter (PS3.5 7.1.1)


class Intake:
    """Where received files go. Safe from many threads."""

    def __init__(
        self,
        engine: sa.Engine,
        archive: Archive,
        jobs: Jobs,
        now: Callable[[], datetime],
        settle_s: float = 0,
        worklist: WorklistSettings | None = None,
        patients: PatientsSettings | None = None,
        zone: tzinfo = SERVER_ZONE,
    ) -> None:
        self.engine = engine
        self.archive = archive
        self.jobs = jobs
        self.now = now
        self.settle_s = settle_s
        self.worklist = worklist or WorklistSettings()
        self.patients = patients or PatientsSettings()
        self.zone = zone

    def ingest(self, received: Path, request: Request) -> Recorded:
        """Take a received Part 10 file in; when this returns, it is durable and enqueued.

        Raises
        ------
        Refused
            It was not taken in; the bytes are in quarantine, but for a full disk.
        """
        return self._take_or_keep(received, request, fetched=False)

    def ingest_prior(self, received: Path, request: Request) -> Recorded:
        """Take a prior in that hilum itself asked for: durable, but nobody waits for its answer.

        Answered films that are to be compared with it are answered again ``settle_s`` later.

        Raises
        ------
        Refused
            It was not taken in; the bytes are in quarantine, but for a full disk.
        """
        return self._take_or_keep(received, request, fetched=True)

    def _take_or_keep(self, received: Path, request: Request, *, fetched: bool) -> Recorded:
        try:
            self.archive.require_space()
            return self._take_or_quarantine(received, request, fetched=fetched)
        except OSError as error:
            if is_away(error, self.archive):
                raise ArchiveFull(f"the disk cannot take it ({error.strerror})") from error
            raise

    def _take_or_quarantine(self, received: Path, request: Request, *, fetched: bool) -> Recorded:
        try:
            return self._take(received, request, fetched=fetched)
        except Refused as refusal:
            self._quarantine(received, request, refusal)
            raise

    def _take(self, received: Path, request: Request, *, fetched: bool) -> Recorded:
        started, now = monotonic(), self.now()
        due_at = self.worklist.due_at(now, UNKNOWN)
        header = _header(received, self.zone, now)
        identity = _agreed(header.identity, request)
        stamp(received, now)
        stored = self.archive.keep_film(
            received, identity.study_uid, identity.sop_uid, header.preamble_bytes
        )

        def claimed(session: Session) -> bool:  # with other bytes too: those here are answered
            return promote_fetched(session, identity.sop_uid, request.calling_ae_title, now, due_at)

        def write() -> Recorded:
            with Session(self.engine) as session, session.begin():
                recorded = register(
                    session,
                    identity,
                    stored,
                    transfer_syntax_uid=header.transfer_syntax_uid,
                    calling_ae_title=request.calling_ae_title,
                    now=now,
                    fetched=fetched,
                    due_at=None if fetched else due_at,
                    placeholders=self.patients.placeholders,
                )
                if recorded is Recorded.NEW and fetched:
                    self._compare_with(session, identity.sop_uid)
                elif not fetched and (recorded is Recorded.NEW or claimed(session)):
                    self.jobs.answer_film(session, identity.sop_uid)
                return recorded

        try:
            recorded = write()
        except IntegrityError:  # another association brought the same UID this very moment
            recorded = write()
        if recorded is Recorded.OTHER_BYTES:
            recorded = self._resent(received, header, stored, request)
        log.info(
            "received",
            sop_instance_uid=identity.sop_uid,
            study_instance_uid=identity.study_uid,
            calling_ae_title=request.calling_ae_title,
            size_bytes=stored.size_bytes,
            again=recorded is Recorded.SAME,
            prior_only=fetched,
            duration_s=round(monotonic() - started, 3),
        )
        return recorded

    def _resent(
        self, received: Path, header: "Header", stored: Stored, request: Request
    ) -> Recorded:
        """Take other bytes under a known UID: the same film, a correction, or a conflict."""
        corrections = Corrections(
            self.engine,
            self.archive,
            self.jobs,
            self.patients,
            self.settle_s,
            self.now,
            self.zone,
        )
        syntax, sender = header.transfer_syntax_uid, request.calling_ae_title
        try:
            return corrections.take(Resent(header.identity, stored, syntax, sender))
        except Conflict:
            corrections.hand_back(stored, received)  # it goes on into quarantine
            raise

    def _compare_with(self, session: Session, film_uid: str) -> None:
        """Ask for the films that are to be compared with a fetched one."""
        instance = films.film(session, film_uid)
        prior_choices.lock_patient(session, instance)
        enqueue_reanswers(session, self.jobs, instance, self.settle_s, self.zone)

    def _quarantine(self, received: Path, request: Request, refusal: Refused) -> None:
        stored = self.archive.quarantine(received)
        with Session(self.engine) as session, session.begin():
            record_refusal(
                session,
                stored,
                sop_instance_uid=request.sop_instance_uid,
                calling_ae_title=request.calling_ae_title,
                status=refusal.status,
                reason=str(refusal),
                now=self.now(),
            )
        log.warning(
            "refused",
            sop_instance_uid=request.sop_instance_uid,
            calling_ae_title=request.calling_ae_title,
            status=f"0x{refusal.status:04X}",
            reason=str(refusal),
            quarantine=stored.path,
        )


@dataclass(frozen=True)
class Header:
    """What is read of a received file: who it is, how encoded, where the data set begins."""

    identity: Identity
    transfer_syntax_uid: str
    preamble_bytes: int


def read_header(path: Path) -> FileDataset:
    """Read a file up to its pixels.

    Raises
    ------
    Unreadable
        It is no DICOM file, or breaks off before the pixels.
    """
    with _parsing(path):
        return read_dicom(path, stop_before_pixels=True)


def _header(path: Path, zone: tzinfo, now: datetime) -> Header:
    ds = read_header(path)
    with _parsing(path):  # pydicom parses a value only when it is asked for
        try:
            identity = identify(ds, zone, now)
        except Unreadable as refusal:
            raise Unreadable(f"{refusal}{_broken_off(path)}") from refusal
        return Header(identity, str(ds.file_meta.TransferSyntaxUID), split_dataset(path)[1])


@contextmanager
def _parsing(path: Path) -> Iterator[None]:
    """Turn whatever a parser says of hostile bytes into a refusal that says where it ended."""
    try:
        yield
    except Refused:
        raise
    except NotAFilm as error:
        raise Unreadable(str(error)) from error
    except InvalidDicomError as error:
        raise Unreadable("not a DICOM data set") from error
    except Exception as error:  # it may be anything
        raise Unreadable(f"the data set cannot be parsed {_after(path)}") from error


def _broken_off(path: Path) -> str:
    """Name the element that states more bytes than the file has; "" where there is none."""
    size, within = path.stat().st_size, ""

    def note(tag: BaseTag, _vr: str | None, length: int) -> bool:
        nonlocal within
        if length != _UNDEFINED and file.tell() + length > size:
            within = f": the data set breaks off within {tag} {keyword_for_tag(tag)}".rstrip()
        return bool(within)

    with suppress(Exception), path.open("rb") as file:
        if _syntax(path) != DeflatedExplicitVRLittleEndian:
            read_partial(file, stop_when=note)
    return within


def _syntax(path: Path) -> str:
    return str(read_file_meta_info(path).TransferSyntaxUID)


def _after(path: Path) -> str:
    """Name the last element that a parser comes to; its value may be patient data."""
    reached: list[BaseTag] = []

    def note(tag: BaseTag, _vr: str | None, _length: int) -> bool:
        reached.append(tag)
        return False

    with suppress(Exception), path.open("rb") as file:
        if _syntax(path) != DeflatedExplicitVRLittleEndian:  # pydicom would inflate all of it
            read_partial(file, stop_when=note)
    if not reached:
        return "at all"
    return f"from {reached[-1]} {keyword_for_tag(reached[-1])} on".replace("  ", " ")


def _agreed(identity: Identity, request: Request) -> Identity:
    """Return who the object is, where the request and the data set say the same."""
    if identity.sop_class_uid != request.sop_class_uid:
        raise ClassMismatch(
            f"the request says SOP class {request.sop_class_uid},"
            f" the data set {identity.sop_class_uid}"
        )
    if identity.sop_uid != request.sop_instance_uid:
        raise Unreadable("the request and the data set name different SOP Instance UIDs")
    return identity
