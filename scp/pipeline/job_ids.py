"""Names of jobs and queues. A job's id says what it is about."""

import re

from scp.errors import HilumError

FILMS = "films"
# films that are answered again because a better prior came: they hold up no new film
COMPARISONS = "comparisons"
# priors that are asked for once more: a PACS that is slow holds up nothing else
FETCHES = "fetches"
# pairs that a reader has asked for and waits to see
PAIRS = "pairs"
_DELIVERY = re.compile(r"delivery:(?P<film>[0-9.]+):(?P<destination>[^:]+)(:(?P<number>\d+))?")


class NoSuchJob(HilumError):
    """No job has this id."""


def film_job(film_uid: str, number: int = 1) -> str:
    """Return the id of the job that answers a film; a retry is a job of its own, from 2."""
    return f"film:{film_uid}" if number == 1 else f"film:{film_uid}:{number}"


def film_of(job_id: str) -> str | None:
    """Return which film a job answers; None for another kind of job."""
    return _film_of("film", job_id)


def again_job(film_uid: str, prior_uid: str, revisions: str = "") -> str:
    """Return the id of the job that answers a film again, for the sake of this prior.

    ``revisions`` tells it from the job of before one of the two was corrected.
    """
    return f"again:{film_uid}:{prior_uid}" + (f":{revisions}" if revisions else "")


def again_of(job_id: str) -> str | None:
    """Return which film a job answers again; None for another kind of job."""
    return _film_of("again", job_id)


def fetch_job(film_uid: str, attempt: int) -> str:
    """Return the id of one attempt to fetch a film's priors; the first is a step of its answer."""
    return f"fetch:{film_uid}:{attempt}"


def fetch_of(job_id: str) -> str | None:
    """Return for which film a job fetches priors; None for another kind of job."""
    return _film_of("fetch", job_id)


def pair_job(film_uid: str, prior_uid: str) -> str:
    """Return the id of the job that compares a film with an earlier one that a reader chose."""
    return f"pair:{film_uid}:{prior_uid}"


def pair_of(job_id: str) -> str | None:
    """Return which film a job compares for a reader; None for another kind of job."""
    return _film_of("pair", job_id)


def _film_of(kind: str, job_id: str) -> str | None:
    """Return the film of a job of this kind; None for another kind."""
    own, _, rest = job_id.partition(":")
    return rest.partition(":")[0] if own == kind else None


def auxiliary_job(job_id: str) -> tuple[str, str] | None:
    """Return the film and the queue of a job that never touches the film's first answer.

    None for the answer itself and for a delivery.
    """
    found = ((again_of, COMPARISONS), (fetch_of, FETCHES), (pair_of, PAIRS))
    return next(((uid, queue) for of, queue in found if (uid := of(job_id))), None)


def film_in(job_id: str) -> str:
    """Return which film any kind of job is about. Raises `NoSuchJob` when it is no job's id."""
    beside = auxiliary_job(job_id)
    return film_of(job_id) or (beside[0] if beside else delivery_of(job_id)[0])


def delivery_of(job_id: str) -> tuple[str, str]:
    """Return the film and the destination of a delivery; the attempt may be left out.

    Raises
    ------
    NoSuchJob
        It is no job's id.
    """
    match = _DELIVERY.fullmatch(job_id)
    if match is None:
        raise NoSuchJob(f"there is no job {job_id!r}; `hilum queue list` prints them")
    return match["film"], match["destination"]


def delivery_number(job_id: str) -> tuple[str, str, int] | None:
    """Return film, destination and number of a delivery's job; None where it has no number."""
    match = _DELIVERY.fullmatch(job_id)
    if match is None or match["number"] is None:
        return None
    return match["film"], match["destination"], int(match["number"])


def delivery_job(film_uid: str, destination: str, number: int) -> str:
    """Return the id of one attempt to bring a film's answer to a destination."""
    return f"delivery:{film_uid}:{destination}:{number}"


def delivery_queue(destination: str) -> str:
    """Return the queue of one destination: a bad one holds up nobody but itself."""
    return f"deliveries:{destination}"
