"""Delete films and all their rows."""

from collections.abc import Sequence

from sqlalchemy import delete, or_, select, update
from sqlalchemy.orm import Session

from scp.index.schema.persons import Correction
from scp.index.schema.tables import (
    Analysis,
    Comparison,
    Delivery,
    FilmFinding,
    FilmState,
    FinishedStep,
    FurtherAnswer,
    Instance,
    PriorChoice,
    PriorFetch,
    Quarantined,
    Result,
    SearchWord,
    Series,
    Study,
)

_OF_A_FILM = (
    FilmFinding,
    SearchWord,
    PriorChoice,
    PriorFetch,
    Correction,
    FurtherAnswer,
    FinishedStep,
)


def forget_films(session: Session, films: Sequence[Instance]) -> tuple[list[Instance], list[str]]:
    """Delete films, their answers and analyses; commit is the caller's.

    Returns
    -------
    tuple
        Films of others that were answered with one of these, to be answered again; and the files
        that nobody needs any more, relative to data_dir.
    """
    ids = [film.id for film in films]
    uids = [film.uid for film in films]
    series = {film.series_id for film in films}
    studies = {film.series.study_id for film in films}
    paths = [film.path for film in films] + _paths(session, ids, uids)
    again = _answered_with(session, ids)
    analyses = select(Analysis.id).where(Analysis.instance_id.in_(ids))
    made = select(Result.id).where(Result.instance_id.in_(ids))
    pairs = or_(Comparison.current_id.in_(analyses), Comparison.prior_id.in_(analyses))
    session.execute(
        update(PriorChoice).where(PriorChoice.prior_id.in_(ids)).values(prior_id=None, revision=-1)
    )
    for statement in (
        delete(Comparison).where(pairs),
        delete(Analysis).where(Analysis.instance_id.in_(ids)),
        delete(Delivery).where(Delivery.result_id.in_(made)),
        delete(Result).where(Result.instance_id.in_(ids)),
        *(delete(table).where(table.instance_id.in_(ids)) for table in _OF_A_FILM),
        delete(Quarantined).where(Quarantined.sop_instance_uid.in_(uids)),
        delete(Instance).where(Instance.id.in_(ids)),
        delete(Series).where(
            Series.id.in_(series),
            ~select(Instance.id).where(Instance.series_id == Series.id).exists(),
        ),
        delete(Study).where(
            Study.id.in_(studies), ~select(Series.id).where(Series.study_id == Study.id).exists()
        ),
    ):
        session.execute(statement.execution_options(synchronize_session=False))
    return again, paths


def _paths(session: Session, ids: Sequence[int], uids: Sequence[str]) -> list[str]:
    """Return the files beside the films themselves: results, earlier versions, quarantine."""
    return [
        *session.scalars(select(Result.path).where(Result.instance_id.in_(ids))),
        *session.scalars(select(Correction.path).where(Correction.instance_id.in_(ids))),
        *session.scalars(select(Quarantined.path).where(Quarantined.sop_instance_uid.in_(uids))),
    ]


def _answered_with(session: Session, ids: Sequence[int]) -> list[Instance]:
    chosen = select(PriorChoice.instance_id).where(PriorChoice.prior_id.in_(ids))
    others = select(Instance).where(
        Instance.id.in_(chosen), Instance.id.not_in(ids), Instance.state == FilmState.ANSWERED
    )
    return list(session.scalars(others).unique())
