"""The network's output for a film: computed once, stored free of settings, applied at each use."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path

import sqlalchemy as sa
from sqlalchemy.orm import Session

from inference.comparison.alignment import COMPARED_PX
from inference.findings import NetworkOutput
from inference.image.dicom_file import read_dicom
from inference.image.gate import Refusal
from scp.archive import Archive
from scp.config.worklist import WorklistSettings
from scp.index import films, outputs
from scp.index.acquisition import acquired
from scp.index.schema.tables import Analysis, Instance
from scp.index.worklist.entries import update_entry
from scp.pipeline.prior_candidates import as_filed
from scp.pipeline.reader import Filed, Opened, Read, Reader


@dataclass(frozen=True, eq=False)
class Analysed:
    """A film, its findings at this site's settings, and when it was read."""

    film_uid: str
    analysis_id: int
    read: Read
    at: datetime


class Analyser:
    """Keeps what the network says of films, and where that puts them on the worklist."""

    def __init__(
        self,
        engine: sa.Engine,
        archive: Archive,
        reader: Reader,
        now: Callable[[], datetime],
        worklist: WorklistSettings | None = None,
    ) -> None:
        self.engine = engine
        self.archive = archive
        self.reader = reader
        self.now = now
        self.worklist = worklist or WorklistSettings()
        network = reader.engine
        self.view = outputs.SiteView({network.bundle.identity.sha256: network.points})

    def analysed(self, film_uid: str) -> Analysed | Refusal:
        """Return a film with its findings; the network reads it only where no output is stored."""
        opened = self.reader.open(self.path(film_uid))
        return opened if isinstance(opened, Refusal) else self._with_output(film_uid, opened)

    def compared(self, film_uid: str) -> Analysed | Refusal:
        """Return an earlier film as it is compared: at a part of its size where that is enough.

        What the network says of it is what it says of the whole film: what is stored of a film does
        not depend on why it was opened first.
        """
        opened = self.reader.open(self.path(film_uid), COMPARED_PX)
        return opened if isinstance(opened, Refusal) else self._with_output(film_uid, opened)

    def _with_output(self, film_uid: str, opened: Opened) -> Analysed | Refusal:
        with Session(self.engine) as session, session.begin():
            instance = films.film(session, film_uid)
            row = outputs.analysis(session, instance, self.reader.engine.bundle.identity)
            if row is None or not outputs.is_complete(row):
                whole = self.reader.open(self.path(film_uid))
                if isinstance(whole, Refusal):
                    return whole
                output = self.reader.output(whole)
                row = self.remember(session, instance, whole, output)
            session.flush()
            filed = replace(opened, header=as_filed(session, instance, opened.header))
            read = Read(filed, self.view.prediction(row))
            return Analysed(film_uid, row.id, read, row.created_at)

    def remember(
        self, session: Session, instance: Instance, opened: Opened, output: NetworkOutput
    ) -> Analysis:
        """Store a film's output; storing it again changes nothing."""
        instance.view = opened.film.view  # the site may have taught hilum its words since
        outputs.remember_model(session, output.model, self.reader.engine.bundle.calibrations)
        row = outputs.analysis(session, instance, output.model)
        if row is None or not outputs.is_complete(row):
            row = outputs.save_analysis(session, instance, output, opened.notes, self.now())
        self.place(session, instance, row)
        return row

    def place(self, session: Session, instance: Instance, row: Analysis) -> None:
        """Set a film's findings and due time; commit is the caller's."""
        update_entry(session, instance, row, self.worklist, self.reader.engine.settings)

    def filed(self, film_uid: str) -> Filed:
        """Return a film's header as the index files it; the network need not be able to read it."""
        with Session(self.engine) as session:
            instance = films.film(session, film_uid)
            header = read_dicom(self.archive.path(instance.path), stop_before_pixels=True)
            return Filed(
                as_filed(session, instance, header),
                acquired(instance, self.reader.zone),
                instance.received_at,
            )

    def path(self, film_uid: str) -> Path:
        """Return where a film lies."""
        with Session(self.engine) as session:
            return self.archive.path(films.film(session, film_uid).path)
