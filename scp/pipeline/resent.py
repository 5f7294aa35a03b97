"""Other bytes under a known SOP Instance UID: the same film, a correction of it, or another."""

import shutil
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, tzinfo
from pathlib import Path

import sqlalchemy as sa
import structlog
from sqlalchemy.orm import Session

from scp.archive import Archive, Stored
from scp.config.patients import PatientsSettings
from scp.errors import Conflict
from scp.index import films, prior_choices
from scp.index.corrections import is_kept, remember
from scp.index.locking import lock
from scp.index.registration import Identity, Recorded, describe
from scp.index.schema.tables import Instance
from scp.matching.same_film import Compared, compare_files
from scp.monitoring.audit import Audit
from scp.pipeline.queue import Jobs
from scp.pipeline.reanswer import answer_corrected

log = structlog.get_logger(__name__)

# others may correct the same film meanwhile; then it is compared once more
_TRIES = 3


@dataclass(frozen=True)
class Resent:
    """A film that is in the archive a second time, under other bytes."""

    identity: Identity
    stored: Stored
    transfer_syntax_uid: str
    sender: str


@dataclass(frozen=True)
class Corrections:
    """Takes corrections of films into archive and index."""

    engine: sa.Engine
    archive: Archive
    jobs: Jobs
    settings: PatientsSettings
    settle_s: float
    now: Callable[[], datetime]
    zone: tzinfo

    def take(self, film: Resent) -> Recorded:
        """Take a film that is known under other bytes.

        Raises
        ------
        Conflict
            It is another film, or corrections are refused here.
        """
        for _ in range(_TRIES):
            archived = self._kept(film)
            if archived == film.stored.path:  # another association brought the same correction
                return Recorded.SAME
            compared = compare_files(
                self.archive.path(archived), self.archive.path(film.stored.path)
            )
            self._judge(compared)
            if not compared.corrected:
                self._discard(film.stored)
                return Recorded.SAME
            if self._correct(film, archived, compared):
                return Recorded.CORRECTED
        raise Conflict("other associations are correcting the same film: send it again")

    def _kept(self, film: Resent) -> str:
        with Session(self.engine) as session:
            return films.film(session, film.identity.sop_uid).path

    def _judge(self, compared: Compared) -> None:
        known = "a film is already kept under this SOP Instance UID"
        if compared.conflict:
            raise Conflict(f"other bytes: {known}, and {compared.conflict}")
        if compared.corrected and self.settings.corrections == "refuse":
            elements = ", ".join(compared.corrected)
            raise Conflict(
                f"other bytes: {known}; they state another {elements}, and [patients] corrections"
                " is set to refuse"
            )

    def _correct(self, film: Resent, archived: str, compared: Compared) -> bool:
        """Write a correction in one transaction; return False when another came before."""
        uid = film.identity.sop_uid
        with Session(self.engine) as session, session.begin():
            lock(session, Instance, uid=uid)
            instance = films.film(session, uid)
            if instance.path != archived:
                return False
            prior_choices.lock_patient(session, instance)
            remember(session, instance, "resent", film.sender, self.now())
            describe(session, instance, film.identity, self.settings.placeholders)
            instance.path, instance.sha256 = film.stored.path, film.stored.sha256
            instance.size_bytes = film.stored.size_bytes
            instance.transfer_syntax_uid = film.transfer_syntax_uid
            prior_choices.lock_patient(session, instance)
            answer_corrected(session, self.jobs, instance, self.settle_s, self.zone)
            Audit(self.archive.data_dir, self.now).record(
                film.sender, "corrected", uid, how="sent again"
            )
        log.info(
            "corrected",
            sop_instance_uid=uid,
            calling_ae_title=film.sender,
            elements=list(compared.corrected),
        )
        return True

    def hand_back(self, stored: Stored, received: Path) -> None:
        """Take a film out of the archive again, unless a film was corrected from these bytes."""
        with Session(self.engine) as session:
            referenced = is_kept(session, stored.path)
        if referenced:
            shutil.copyfile(self.archive.path(stored.path), received)
        else:
            self.archive.path(stored.path).replace(received)

    def _discard(self, stored: Stored) -> None:
        """Delete a second copy, unless it is what a film was corrected from."""
        with Session(self.engine) as session:
            if is_kept(session, stored.path):
                return
        self.archive.path(stored.path).unlink(missing_ok=True)
