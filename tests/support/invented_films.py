"""Invented films, straight into the index and the archive, for tests of what reads them."""

import io
import itertools
import tempfile
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path

import numpy as np
from kept import keep_result
from pydicom import Dataset
from pydicom.uid import UID, ExplicitVRLittleEndian, SecondaryCaptureImageStorage, generate_uid
from sqlalchemy import select
from sqlalchemy.orm import Session

from inference.findings import FINDINGS, Change
from scp.archive import Archive
from scp.index.schema.tables import (
    Analysis,
    Comparison,
    Delivery,
    DeliveryState,
    FilmState,
    Heartbeat,
    Instance,
    Patient,
    PriorChoice,
    Quarantined,
    Result,
    Series,
    Study,
)
from scp.outcomes.delivery import DELIVERED

NOW = datetime(2026, 3, 2, 9, 30, tzinfo=UTC)
PATIENT_ID = "PID-7734-SECRET"
REPORT = "1.2.840.10008.5.1.4.1.1.88.34"
_numbers = itertools.count(1)


def capture(uid: UID, rows: int = 64, columns: int = 48) -> bytes:
    """A small colour Secondary Capture with a bright square."""
    pixels = np.zeros((rows, columns, 3), np.uint8)
    pixels[rows // 4 : rows // 2, columns // 4 : columns // 2] = (250, 120, 20)
    ds = Dataset()
    ds.SOPClassUID, ds.SOPInstanceUID = SecondaryCaptureImageStorage, uid
    ds.Rows, ds.Columns, ds.SamplesPerPixel, ds.PlanarConfiguration = rows, columns, 3, 0
    ds.PhotometricInterpretation = "RGB"
    ds.BitsAllocated, ds.BitsStored, ds.HighBit, ds.PixelRepresentation = 8, 8, 7, 0
    ds.PixelData = pixels.tobytes()
    ds.file_meta = Dataset()
    ds.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    out = io.BytesIO()
    ds.save_as(out, enforce_file_format=True)
    return out.getvalue()


def maps_of(found) -> bytes:
    """Heat maps as the index keeps them: a spot in the middle for each finding."""
    maps = np.zeros((len(FINDINGS), 8, 8), np.float16)
    for i, finding in enumerate(FINDINGS):
        maps[i, 3:5, 3:5] = finding.label in found
    out = io.BytesIO()
    np.save(out, maps)
    return out.getvalue()


class Invented:
    """Puts films into one index and one archive."""

    def __init__(self, session: Session, archive: Archive) -> None:
        self.session, self.archive = session, archive
        known = session.scalars(select(Patient)).one_or_none()
        self.patient = known or Patient(patient_id=PATIENT_ID, issuer="WARD")
        session.add(self.patient)
        session.flush()

    def film(self, age_s=60.0, state=FilmState.ANSWERED, study=None, patient=True, **more):
        study = study or Study(uid=generate_uid())
        series = Series(uid=generate_uid(), modality="DX", study=study)
        received = NOW - timedelta(seconds=age_s)
        finished = state not in (FilmState.RECEIVED, FilmState.ANALYSED)
        values = {
            "uid": generate_uid(),
            "sop_class_uid": "1.2.840.10008.5.1.4.1.1.1.1",
            "transfer_syntax_uid": ExplicitVRLittleEndian,
            "path": f"archive/none/{next(_numbers)}.dcm",
            "sha256": "0" * 64,
            "size_bytes": 10,
            "calling_ae_title": "XRAY1",
            "received_at": received,
            "acquired_at": received.replace(tzinfo=None) - timedelta(minutes=12),
            "acquired_precision": "second",
            "acquired_from": "AcquisitionDate",
            "view": "PA",
            "state": state,
            "finished_at": received + timedelta(seconds=4) if finished else None,
        }
        film = Instance(**(values | more), series=series)
        film.patient_id = self.patient.id if patient else None
        self.session.add(film)
        self.session.flush()
        return film

    def analysis(self, film, found=None, notes=()):
        """``found``: probability by label; every threshold is 0.5."""
        analysis = Analysis(
            instance=film,
            model_name="hilum-chest14",
            model_version="1.2",
            model_sha256="a" * 64,
            probabilities=[(found or {}).get(f.label, 0.04) for f in FINDINGS],
            thresholds=[0.5] * len(FINDINGS),
            heatmaps=maps_of(found or {}),
            notes=list(notes),
            created_at=film.received_at,
        )
        self.session.add(analysis)
        self.session.flush()
        return analysis

    def comparison(self, current, prior, changes=None, comparable=True, reason=""):
        """``changes``: (prior probability, word) by label."""
        changes = changes or {}
        known = [(f, *changes.get(f.label, (0.05, Change.UNCHANGED))) for f in FINDINGS]
        row = Comparison(
            current=current,
            prior=prior,
            comparable=comparable,
            reason=reason,
            quality=0.9,
            ssim=0.8,
            changes=[
                {"label": f.label, "prior": p, "current": 0.0, "change": c.value}
                for f, p, c in known
            ],
            created_at=current.created_at,
        )
        self.session.add(row)
        self.session.flush()
        if self._choice(current.instance) is None:
            self.choice(current.instance, prior.instance)

    def _choice(self, film):
        return self.session.scalars(
            select(PriorChoice).where(PriorChoice.instance_id == film.id)
        ).one_or_none()

    def choice(self, film, prior=None, rejected=(), limited="", notes=(), not_listed=0, why="why"):
        """``rejected``: (film, code, sentence) each."""
        row = self._choice(film) or PriorChoice(instance_id=film.id)
        row.prior_id, row.code, row.sentence = prior.id if prior else None, "code", why
        row.limited, row.not_listed, row.chosen_at = limited, not_listed, film.received_at
        row.notes = [{"code": "note", "sentence": note} for note in notes]
        row.rejected = [{"uid": f.uid, "code": c, "sentence": s} for f, c, s in rejected]
        self.session.add(row)
        self.session.flush()

    def result(self, film, kind="heatmap", sop_class_uid=SecondaryCaptureImageStorage, data=None):
        uid = generate_uid()
        stored = keep_result(
            self.archive, data or capture(uid), UID(film.series.study.uid), UID(uid)
        )
        result = Result(
            instance=film,
            kind=kind,
            uid=uid,
            sop_class_uid=sop_class_uid,
            path=stored.path,
            sha256=stored.sha256,
            size_bytes=stored.size_bytes,
            created_at=film.received_at,
        )
        self.session.add(result)
        self.session.flush()
        return result

    def delivery(self, result, destination="PACS_A", state=DeliveryState.DELIVERED, **more):
        outcome = more.pop("outcome", DELIVERED if state is DeliveryState.DELIVERED else None)
        if outcome is not None:
            more |= {"cause": outcome.cause, "kind": outcome.kind, "store_status": outcome.status}
            more |= {"peer_text": outcome.peer_text}
        values = {"attempts": 1} | more
        row = Delivery(result=result, destination=destination, state=state, **values)
        self.session.add(row)
        self.session.flush()

    def refusal(self, reason="not a data set"):
        self.session.add(
            Quarantined(
                path="quarantine/x.dcm",
                sha256="1" * 64,
                sop_instance_uid="1.2.3",
                calling_ae_title="ODD_AE",
                status=0xC000,
                reason=reason,
                received_at=NOW,
            )
        )

    def role(self, role, age_s=1.0, **details):
        beat_at = NOW - timedelta(seconds=age_s)
        self.session.add(
            Heartbeat(name=f"{role}-1", role=role, pid=41, details=details, beat_at=beat_at)
        )


def open_index(folder: Path):
    """A real database and archive; the tables were migrated once and are copied."""
    from scp.index.database import open_database

    file = folder / "hilum.sqlite"
    file.write_bytes(_migrated())
    return open_database(f"sqlite:///{file}"), Archive(folder)


@cache
def _migrated() -> bytes:
    from scp.index.database import migrate, open_database

    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "hilum.sqlite"
        engine = open_database(f"sqlite:///{file}")
        migrate(engine)
        engine.dispose()
        assert not file.with_name("hilum.sqlite-wal").exists(), "a part would be left out"
        return file.read_bytes()
