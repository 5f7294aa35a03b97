"""Which answered films get a new answer: for a better prior, or after a correction."""

from datetime import tzinfo

from sqlalchemy.orm import Session

from scp.index import prior_choices
from scp.index.corrections import withdraw
from scp.index.films import WITHOUT_ANSWER, reopen
from scp.index.schema.tables import Instance
from scp.pipeline.queue import Jobs


def enqueue_reanswers(
    session: Session, jobs: Jobs, changed: Instance, settle_s: float, zone: tzinfo
) -> None:
    """Ask for the films whose best prior is another, now that ``changed`` can be one or cannot.

    In the transaction that says so, while `choices.hold` lasts: after a kill, both are there or
    neither is.
    """
    session.flush()
    for film in prior_choices.outdated(session, changed, zone):
        jobs.answer_again(session, film.film_uid, film.prior_uid, settle_s, film.revisions)


def answer_corrected(
    session: Session, jobs: Jobs, changed: Instance, settle_s: float, zone: tzinfo
) -> None:
    """Withdraw what is wrong now that a film was corrected, and ask for new answers.

    Of the film itself, of those that were answered with it, and of those that now should be. In the
    transaction of the correction.
    """
    own = prior_choices.prior_candidate(session, changed, zone)
    for film in withdraw(session, changed):
        revisions = prior_choices.revisions(prior_choices.prior_candidate(session, film, zone), own)
        if film.state in WITHOUT_ANSWER:
            reopen(film)
            jobs.answer_anew(session, film.uid, revisions)
        else:
            jobs.answer_again(session, film.uid, changed.uid, settle_s, revisions)
    enqueue_reanswers(session, jobs, changed, settle_s, zone)
