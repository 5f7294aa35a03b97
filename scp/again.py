"""Which answered films are answered once more, because a better prior is there now."""

from sqlalchemy.orm import Session

from scp.index import choices
from scp.index.schema import Instance
from scp.queue import Jobs


def ask_again(session: Session, jobs: Jobs, changed: Instance, settle_s: float) -> None:
    """Ask for the films whose best prior is another, now that ``changed`` can be one or cannot.

    In the transaction that says so, while `choices.hold` lasts: after a kill, both are there or
    neither is.
    """
    session.flush()
    for film in choices.outdated(session, changed):
        jobs.answer_again(session, film.film_uid, film.prior_uid, settle_s)
