"""Two films in files: whether they may be compared, when each was taken, and what limits it."""

from datetime import tzinfo

import numpy as np

from inference.drawing.summary import Caption
from inference.image.acquisition import acquisition_time, is_earlier
from inference.image.header import text
from scp.errors import HilumError
from scp.index.registration import person_of, usable_patient
from scp.matching.person import STATES, contradiction
from scp.matching.repeats import is_within_exposure, repeat_sentence
from scp.pipeline.reader import Opened
from scp.processes.runtime import now


class CannotCompare(HilumError):
    """The two files are not compared; the text says why, and which of them it is about."""


def limits_between(current: Opened, prior: Opened, captions: tuple[Caption, Caption]) -> list[str]:
    """Say what limits the comparison of two films, by what their files state.

    Raises
    ------
    CannotCompare
        They are one and the same, or of different patients.
    """
    if _same(current, prior):
        raise CannotCompare("both files hold the very same film: there is nothing to compare")
    limits = []
    patients = {usable_patient(film.header) for film in (current, prior)}
    if None in patients:
        limits.append("whether both films are of one patient is not stated")
    elif len(patients) == 2:
        raise CannotCompare("the films are of different patients: Patient ID or its issuer differs")
    contradicted = contradiction(person_of(current.header), person_of(prior.header))
    if contradicted is not None:
        raise CannotCompare(
            f"the films may be of different patients: one states {STATES[contradicted]}"
        )
    return limits + _limits_in_time(current, prior, captions)


def _same(current: Opened, prior: Opened) -> bool:
    uid, other = (text(film.header, "SOPInstanceUID") for film in (current, prior))
    return bool(uid and uid == other) or np.array_equal(current.film.pixels, prior.film.pixels)


def _limits_in_time(current: Opened, prior: Opened, captions: tuple[Caption, Caption]) -> list[str]:
    limits = []
    taken, before = (caption.taken for caption in captions)
    earlier = is_earlier(before, taken) if taken and before else None
    if earlier is None:
        limits.append("which film is the earlier one is not stated")
    elif earlier is False:
        limits.append("the prior was taken later than the current film")
    study, other = (text(film.header, "StudyInstanceUID") for film in (current, prior))
    same_study = bool(study) and study == other
    if same_study or is_within_exposure(taken, before):
        limits.append(repeat_sentence(taken, before, same_study=same_study))
    return limits


def captions_of(current: Opened, prior: Opened, zone: tzinfo) -> tuple[Caption, Caption]:
    """Say of two films when each was taken, and its view; ``zone`` is the site's."""
    films = (
        (film.film.view, acquisition_time(film.header, zone, now())) for film in (current, prior)
    )
    one, other = (Caption(view, taken) for view, taken in films)
    return one, other
