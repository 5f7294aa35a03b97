"""Compare two films that a reader chose, whichever prior the film was answered with."""

import structlog
from sqlalchemy.orm import Session

from inference.image.gate import Refusal
from scp.errors import ServiceError
from scp.index import films, prior_choices
from scp.matching.prior import limits_of
from scp.pipeline.answer import Answerer

log = structlog.get_logger(__name__)


def compare_pair(answerer: Answerer, film_uid: str, prior_uid: str) -> None:
    """Compare a film with an earlier one of the same patient; the film's answer stays as it is.

    Raises
    ------
    ServiceError
        They are not known to be of one patient, or one can no longer be read.
    """
    with Session(answerer.engine) as session:
        current, prior = (
            prior_choices.prior_candidate(session, films.film(session, uid), answerer.reader.zone)
            for uid in (film_uid, prior_uid)
        )
    if current.patient is None or current.patient != prior.patient:
        raise ServiceError("the films are not known to be of one patient")
    now, before = answerer.analyser.analysed(film_uid), answerer.analyser.compared(prior_uid)
    if isinstance(now, Refusal) or isinstance(before, Refusal):
        raise ServiceError("one of the films can no longer be read")
    limits = [limit.sentence for limit in limits_of(current, prior)]
    compared = answerer.reader.compare(now.read, before.read, limits)
    with Session(answerer.engine) as session, session.begin():
        row = films.ComparedRow.of(compared)
        films.save_comparison(session, now.analysis_id, before.analysis_id, row, answerer.now())
    log.info("compared", film=film_uid, prior=prior_uid, comparable=compared.comparable)
