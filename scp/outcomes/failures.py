"""Why a step of the service failed, in hilum's own words.

Neither the name of a library's class nor the text of its exception is a reason: the one says
nothing to who reads it, the other may quote the data set. The log has both.
"""

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from enum import StrEnum

from sqlalchemy.exc import SQLAlchemyError

from inference.image.decoder_pool import NoDecoder
from scp.errors import HilumError


class Step(StrEnum):
    """What was being done."""

    READ = "reading the film"
    FETCH = "fetching its priors"
    WRITE = "writing its answer"
    COMPARE = "comparing two films"
    DELIVER = "delivering its answer"
    STATE = "stating why it has no answer"


class Cause(StrEnum):
    """The kind of error: what the index keeps as a film's reason."""

    CANCELLED = "cancelled"
    WORKER_DIED = "worker_died"
    FILE_MISSING = "file_missing"
    NO_PERMISSION = "no_permission"
    DISK = "disk"
    CONNECTION = "connection"
    DATABASE = "database"
    MEMORY = "memory"
    GPU_MEMORY = "gpu_memory"
    STATED = "stated"
    FAULT = "fault"


SENTENCES = {
    Cause.CANCELLED: "An operator cancelled it.",
    Cause.WORKER_DIED: "The worker died on this film repeatedly. Its log says how; if the kernel "
    "killed it, memory was short.",
    Cause.FILE_MISSING: "Its file is missing from data_dir: check that the disk is mounted, or "
    "restore"
    " it from a backup.",
    Cause.NO_PERMISSION: "A file in data_dir cannot be read or written: check its owner and "
    "permissions.",
    Cause.DISK: "The disk of data_dir reported an error: check that it is mounted and has space.",
    Cause.CONNECTION: "A connection over the network broke.",
    Cause.DATABASE: "The database was away or refused: check that it runs and has space.",
    Cause.MEMORY: "There was too little memory.",
    Cause.GPU_MEMORY: "The GPU had too little memory: lower [inference] batch_size.",
    Cause.FAULT: "A fault in hilum: the worker's log has the traceback.",
}

# the first that fits; what torch raises is recognised by name, so that a page needs no torch
_KINDS: tuple[tuple[type[BaseException], Cause], ...] = (
    (SQLAlchemyError, Cause.DATABASE),
    (sqlite3.Error, Cause.DATABASE),
    (MemoryError, Cause.MEMORY),
    (NoDecoder, Cause.MEMORY),
    (FileNotFoundError, Cause.FILE_MISSING),
    (PermissionError, Cause.NO_PERMISSION),
    (ConnectionError, Cause.CONNECTION),
    (TimeoutError, Cause.CONNECTION),
    (OSError, Cause.DISK),
    (HilumError, Cause.STATED),
)


class StepFailed(HilumError):
    """A step of a job failed. Its text may be shown on a page and in a report."""

    def __init__(self, step: Step, cause: Cause, sentence: str) -> None:
        super().__init__(step, cause, sentence)
        self.step, self.cause, self.sentence = step, cause, sentence

    def __str__(self) -> str:
        """Read as "Failed while reading the film. Its file is gone from data_dir: ..."."""
        return f"Failed while {self.step}. {self.sentence}"


@contextmanager
def failing(step: Step) -> Iterator[None]:
    """Raise whatever fails inside as `StepFailed`; the queue keeps no other exception."""
    try:
        yield
    except Exception as error:
        cause = cause_of(error)
        text = str(error) if cause is Cause.STATED else SENTENCES[cause]
        sentence = text[:1].upper() + text[1:] + ("" if text.endswith(".") else ".")
        raise StepFailed(step, cause, sentence) from error


def cause_of(error: BaseException) -> Cause:
    """Return the kind of an error."""
    if type(error).__name__ == "OutOfMemoryError":
        return Cause.GPU_MEMORY
    return next((cause for kind, cause in _KINDS if isinstance(error, kind)), Cause.FAULT)


def step_failure(error: object) -> StepFailed | None:
    """Return the failure that the queue reports; None where it kept another exception.

    A queue that has retried a step wraps its failures, the last one last.
    """
    for inner in [error, *reversed(getattr(error, "errors", []))]:
        if isinstance(inner, StepFailed):
            return inner
    return None


def job_failure(error: object) -> str:
    """Say why a job stopped, for a list of jobs; "" when it did not."""
    if error is None:
        return ""
    failure = step_failure(error)
    return str(failure) if failure is not None else SENTENCES[Cause.FAULT]


def film_failure(reason: str, detail: str) -> str:
    """Say why a film has no answer, for who can do something about it."""
    if detail and not detail.startswith("hilum could not answer"):
        return detail
    known = reason in tuple(Cause) and Cause(reason) is not Cause.STATED
    return SENTENCES[Cause(reason) if known else Cause.FAULT]
