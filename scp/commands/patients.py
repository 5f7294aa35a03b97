"""`hilum patient`: ask, say what will change, change it, say what was changed."""

import json
from datetime import UTC
from typing import Any

import typer
from rich.console import Console
from sqlalchemy.orm import Session

from scp.commands.actor import actor_of
from scp.config.load import Settings
from scp.index import corrections
from scp.index.acquisition import acquired
from scp.index.schema.tables import Instance, Patient
from scp.matching.patient_ids import differences
from scp.pipeline.patient_actions import KEPT, NoSuchPatient, PatientFiles, Scope
from scp.processes.runtime import ServiceContext, now, open_context


def show(settings: Settings, patient_id: str, issuer: str | None, *, as_json: bool) -> None:
    """Print what the index holds of a Patient ID."""
    with open_context(settings) as context, Session(context.engine) as session:
        scope = Scope(session)
        patients = scope.patients(patient_id, issuer)
        near = scope.near(patient_id, issuer or "")
        if not patients and not near:
            raise NoSuchPatient("the index holds no film of this Patient ID")
        for patient in patients:
            actor = actor_of(context)
            actor.audit.record(actor.person, "viewed", f"patient:{patient.id}")
        shown = {
            "patients": [_patient(scope, patient) for patient in patients],
            "nearly_the_same": [
                {
                    "number": other.id,
                    "films": len(scope.films(other)),
                    "differs_in": list(
                        differences((patient_id, issuer or ""), (other.patient_id, other.issuer))
                        or ()
                    ),
                }
                for other in near
            ],
        }
    if as_json:
        print(json.dumps(shown, indent=2))
    else:
        _print(shown)


def merge(
    settings: Settings, wrong: tuple[str, str | None], right: tuple[str, str], *, yes: bool
) -> None:
    """Make a patient's films another's."""
    with open_context(settings) as context:
        files = _files(context)
        with Session(context.engine) as session:
            scope = Scope(session)
            wrong_one = scope.one(*wrong)
            source, films = wrong_one.id, len(scope.films(wrong_one))
        _ask(f"{_films(films)} of patient:{source} will belong to the other Patient ID", yes=yes)
        into, done = files.merge(source, right)
    Console().print(
        f"{_films(done)} moved from patient:{source} to patient:{into}; films that arrive with the"
        f" old Patient ID will follow. {_AGAIN}"
    )


def move(settings: Settings, uid: str, right: tuple[str, str], *, yes: bool) -> None:
    """Make a film, or a study's films, another patient's."""
    with open_context(settings) as context:
        files = _files(context)
        with Session(context.engine) as session:
            uids = [film.uid for film in Scope(session).named(uid)]
        _ask(f"{_films(len(uids))} will belong to the other Patient ID", yes=yes)
        into, done = files.move(uids, right)
    Console().print(f"{_films(done)} moved to patient:{into}. {_AGAIN}")


def forget(settings: Settings, who: tuple[str, str | None], *, yes: bool) -> None:
    """Delete what is here of a patient."""
    with open_context(settings) as context:
        files = _files(context)
        with Session(context.engine) as session:
            scope = Scope(session)
            patient = scope.one(*who)
            number, films = patient.id, len(scope.films(patient))
        _ask(f"{_films(films)} of patient:{number}, their answers and rows are deleted", yes=yes)
        gone = files.forget(number)
    Console().print(
        f"forgotten: {_films(gone.films)}, {gone.files} files, and the rows of"
        f" patient:{number}. {KEPT}"
    )


_AGAIN = "Answers that were wrong are withdrawn, and the films concerned are answered again."


def _films(number: int) -> str:
    return f"{number} film{'' if number == 1 else 's'}"


def _ask(what: str, *, yes: bool) -> None:
    """Ask whether it is meant; without an answer nothing is done."""
    if not yes:
        typer.confirm(f"{what}. Continue?", abort=True)


def _patient(scope: Scope, patient: Patient) -> dict[str, Any]:
    merged = patient.merged_into
    return {
        "number": patient.id,
        "patient_id": patient.patient_id,
        "issuer": patient.issuer,
        "placeholder": patient.placeholder,
        "merged_into": merged,
        "films": [_film(scope.session, film) for film in scope.films(patient)],
    }


def _film(session: Session, film: Instance) -> dict[str, Any]:
    taken = acquired(film, UTC)
    return {
        "uid": film.uid,
        "study_uid": film.series.study.uid,
        "taken": taken.text_with_source if taken else "",
        "view": film.view,
        "state": film.state.value,
        "name": film.patient_name or "",
        "birth_date": film.birth_date or "",
        "sex": film.sex or "",
        "accession_number": film.accession_number or "",
        "results": len(film.results),
        "withdrawn": sum(result.withdrawn is not None for result in film.results),
        "corrected": [
            {
                "at": row.at.isoformat(timespec="seconds"),
                "by": row.by,
                "how": row.how,
                "from_patient": row.patient_id,
                "name": row.patient_name or "",
                "birth_date": row.birth_date or "",
                "sex": row.sex or "",
            }
            for row in corrections.history(session, film)
        ],
    }


def _print(shown: dict[str, Any]) -> None:
    console = Console(highlight=False, markup=False, soft_wrap=True)
    for patient in shown["patients"]:
        issuer = f" of {patient['issuer']}" if patient["issuer"] else ""
        console.print(f"patient:{patient['number']}: {patient['patient_id']}{issuer}")
        if patient["placeholder"]:
            console.print("  a placeholder: its films are never compared")
        if patient["merged_into"] is not None:
            console.print(f"  merged into patient:{patient['merged_into']}")
        for film in patient["films"]:
            who = ", ".join(filter(None, (film["name"], film["birth_date"], film["sex"])))
            console.print(
                f"  {film['uid']}  {film['taken']}  {film['view']}  {film['state']}  {who}"
            )
            console.print(f"    study {film['study_uid']}, {film['results']} results")
            if film["withdrawn"]:
                console.print(f"    {film['withdrawn']} of them withdrawn")
            for row in film["corrected"]:
                was = ", ".join(filter(None, (row["name"], row["birth_date"], row["sex"])))
                before = f"patient:{row['from_patient']}" if row["from_patient"] else "nobody"
                console.print(f"    {row['how']} {row['at']} by {row['by']}; was {before}: {was}")
    for near in shown["nearly_the_same"]:
        differs = " and ".join(near["differs_in"])
        console.print(
            f"nearly the same: patient:{near['number']}, {_films(near['films'])}: {differs}"
        )


def _files(context: ServiceContext) -> PatientFiles:
    return PatientFiles(
        context.engine,
        context.archive,
        context.jobs,
        actor_of(context),
        now,
        context.settings.priors.settle_s,
        context.settings.patients,
        context.settings.zone,
    )
