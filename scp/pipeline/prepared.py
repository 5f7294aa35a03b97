"""An outcome is prepared whole, and only then takes effect.

A step may be killed at any instant and is then done again, when a prior has another report, a
setting another value and the clock another time. What a film is answered with is therefore decided
once: by the rename that gives a folder of `Archive.prepared` its name. Before it, the step has had
no effect and its inputs are read anew; after it, every repeat uses these bytes and these rows.
"""

import hashlib
import re
import shutil
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace

import sqlalchemy as sa
import structlog
from pydantic import ConfigDict, TypeAdapter, ValidationError
from sqlalchemy import select
from sqlalchemy.orm import Session

from inference.cardiothoracic import RatioStatement
from scp.archive import Archive, Stored, fsync, sha256_of
from scp.index.films import ComparedRow
from scp.index.finished_steps import JobStep
from scp.index.schema.tables import FilmState, Result
from scp.index.values import Applied
from scp.matching.person import NOBODY
from scp.matching.prior import Choice
from scp.pipeline.further_answer import Making
from scp.pipeline.model_output import Analysed
from scp.pipeline.prior_candidates import Known
from scp.pipeline.queue import Jobs
from scp.results.answer import Answer
from scp.results.objects import to_bytes

log = structlog.get_logger(__name__)

_LIST = "outcome.json"
_NAME = re.compile(r"[0-9.]+-[0-9a-f]{16}-[a-z]+")  # the film's UID, its job's mark, the step


@dataclass(frozen=True)
class PreparedObject:
    """One result object, and where it is to lie."""

    kind: str
    uid: str
    sop_class_uid: str
    content: str
    stored: Stored


@dataclass(frozen=True)
class Reading:
    """What an answer states beside its objects: of films by analysis, and how they compare.

    ``revisions`` is how often each film had been corrected, by SOP Instance UID.
    """

    analysis_id: int
    notes: tuple[str, ...]
    applied: Applied
    choice: Choice
    revisions: Mapping[str, int]
    prior_analysis_id: int | None = None
    comparison: ComparedRow | None = None
    ratio: RatioStatement | None = None


@dataclass(frozen=True)
class Prepared:
    """An outcome of a film with all that it writes; ``same`` and ``further_id`` as of `Making`."""

    __pydantic_config__ = ConfigDict(
        ser_json_bytes="base64", val_json_bytes="base64", ser_json_inf_nan="constants"
    )

    state: FilmState
    reason: str = ""
    detail: str = ""
    reading: Reading | None = None
    objects: tuple[PreparedObject, ...] = ()
    same: Mapping[str, str] = field(default_factory=dict)
    further_id: int | None = None


_JSON = TypeAdapter(Prepared)


def reading_of(
    known: Known, current: Analysed, prior: Analysed | None, choice: Choice, answer: Answer
) -> Reading:
    """Return what the index keeps of an answer; whose the films are is in their own rows."""
    looked_at = [known.current, *([choice.prior] if choice.prior else [])]
    compared = answer.comparison if prior is not None else None
    nobody = replace(choice.prior, acquired=None, person=NOBODY) if choice.prior else None
    return Reading(
        current.analysis_id,
        current.read.opened.notes,
        Applied.of(answer.prediction),
        replace(choice, prior=nobody, acquired=None),
        {film.uid: film.revision for film in looked_at},
        prior.analysis_id if prior is not None and compared is not None else None,
        ComparedRow.of(compared) if compared is not None else None,
        answer.prediction.ratio,
    )


class PreparedAnswers:
    """Keeps prepared outcomes, each in a folder that is named after the step that made it."""

    def __init__(self, engine: sa.Engine, archive: Archive) -> None:
        self.engine = engine
        self.archive = archive

    def find(self, step: JobStep) -> Prepared | None:
        """Return what an earlier try of a step has prepared, if all of it is there.

        What is not whole is deleted. A step without a job is nobody's repeat.
        """
        prepared = self._read(_name(step)) if step.job else None
        if prepared is None or not all(self._is_there(step, one) for one in prepared.objects):
            self.discard(step)
            return None
        return prepared

    def keep(self, step: JobStep, outcome: Prepared, making: Making) -> Prepared:
        """Put an outcome and its new objects on the disk: with the rename it is decided."""
        folder = self.archive.prepared / _name(step)
        part = folder.with_name(f"{folder.name}.part")
        shutil.rmtree(part, ignore_errors=True)
        part.mkdir(mode=0o700)
        objects = []
        for made in making.new:
            data, ds = to_bytes(made.ds), made.ds
            (part / f"{ds.SOPInstanceUID}.dcm").write_bytes(data)
            objects.append(
                PreparedObject(
                    made.kind,
                    str(ds.SOPInstanceUID),
                    str(ds.SOPClassUID),
                    made.content,
                    self.archive.result(data, ds.StudyInstanceUID, ds.SOPInstanceUID),
                )
            )
        whole = replace(
            outcome,
            objects=tuple(objects),
            same=dict(making.same),
            further_id=making.further_id,
        )
        (part / _LIST).write_bytes(_JSON.dump_json(whole))
        for path in (*part.iterdir(), part):
            fsync(path)
        part.rename(folder)
        fsync(folder.parent)
        return whole

    def place(self, step: JobStep, prepared: Prepared) -> None:
        """Move the objects where they are to lie; call it before the commit that names them."""
        folder = self.archive.prepared / _name(step)
        for one in prepared.objects:
            part = folder / f"{one.uid}.dcm"
            if part.exists():  # else an earlier try has moved it
                self.archive.keep_result(part, one.stored)

    def discard(self, step: JobStep) -> None:
        """Delete what is left of a prepared outcome, and what was placed and has no row."""
        self._discard(_name(step))

    def forget(self, film_uid: str) -> None:
        """Delete all that is prepared for a film."""
        for name in self._names():
            if name.startswith(f"{film_uid}-"):
                self._discard(name)

    def sweep(self, jobs: Jobs, in_hand: Collection[str]) -> None:
        """Delete what no step will come back to, for its job has ended."""
        for name in self._names():
            film_uid, mark = name.split("-")[:2]
            busy = {*in_hand, *(job.workflow_id for job in jobs.answering(film_uid))}
            if mark not in map(_mark, busy):
                self._discard(name)
                log.info("half an answer deleted", film=film_uid)

    def _names(self) -> set[str]:
        """Return what is prepared, or half so; what somebody else has put there is not ours."""
        found = {folder.name.removesuffix(".part") for folder in self.archive.prepared.iterdir()}
        return {name for name in found if _NAME.fullmatch(name)}

    def _read(self, name: str) -> Prepared | None:
        try:
            return _JSON.validate_json((self.archive.prepared / name / _LIST).read_bytes())
        except FileNotFoundError:
            return None
        except ValidationError:  # another release wrote it
            log.warning("prepared answer not understood: made again", name=name)
            return None

    def _is_there(self, step: JobStep, one: PreparedObject) -> bool:
        """Say whether an object is whole, here or where it is to lie."""
        here = self.archive.prepared / _name(step) / f"{one.uid}.dcm"
        for path in (here, self.archive.path(one.stored.path)):
            if path.exists():
                return sha256_of(path) == one.stored.sha256
        return False

    def _discard(self, name: str) -> None:
        prepared = self._read(name)
        placed = {one.stored.path for one in prepared.objects} if prepared else set()
        if placed:
            with Session(self.engine) as session:
                placed -= set(session.scalars(select(Result.path).where(Result.path.in_(placed))))
        for path in placed:
            self.archive.path(path).unlink(missing_ok=True)
        for folder in (self.archive.prepared / name, self.archive.prepared / f"{name}.part"):
            shutil.rmtree(folder, ignore_errors=True)


def _mark(job: str) -> str:
    """Return what names a job in a folder's name."""
    return hashlib.sha256(job.encode()).hexdigest()[:16]


def _name(step: JobStep) -> str:
    return f"{step.film_uid}-{_mark(step.job)}-{step.step.lower()}"
