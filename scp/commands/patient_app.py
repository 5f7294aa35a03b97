"""`hilum patient`: show, merge, move and forget what the index has of a patient."""

from typing import Annotated

import typer

from scp.commands.options import CONFIG, Config, Json, errors_to_exit_code, load

patient_app = typer.Typer(
    help="Show, merge, move or forget what the index holds of a patient. Each change is audited.",
    no_args_is_help=True,
)

_ASKED = "prompted for when left out, so that it is in no shell history"
PatientId = Annotated[str | None, typer.Argument(metavar="ID", help=f"The Patient ID; {_ASKED}.")]
Issuer = Annotated[str | None, typer.Option(help="The issuer of the Patient ID, where it has one.")]
Into = Annotated[str | None, typer.Option(help=f"The correct Patient ID;  {_ASKED}.")]
IntoIssuer = Annotated[str, typer.Option(help="The issuer of the correct Patient ID.")]
Yes = Annotated[bool, typer.Option("--yes", help="Do not ask for confirmation.")]


@patient_app.command("show")
def patient_show(
    patient_id: PatientId = None,
    issuer: Issuer = None,
    config: Config = CONFIG,
    json: Json = False,
) -> None:
    """Show the films of a Patient ID, what they were corrected from, and IDs nearly the same."""
    from scp.commands import patients

    with errors_to_exit_code():
        settings = load(config, "patient", quiet=True)
        patients.show(settings, _asked(patient_id, "Patient ID"), issuer, as_json=json)


@patient_app.command("merge")
def patient_merge(
    patient_id: PatientId = None,
    issuer: Issuer = None,
    into: Into = None,
    into_issuer: IntoIssuer = "",
    yes: Yes = False,
    config: Config = CONFIG,
) -> None:
    """Make all films of a Patient ID those of another, also films that come later."""
    from scp.commands import patients

    with errors_to_exit_code():
        settings = load(config, "patient", quiet=True)
        wrong = _asked(patient_id, "Wrong Patient ID")
        right = _asked(into, "Correct Patient ID")
        patients.merge(settings, (wrong, issuer), (right, into_issuer), yes=yes)


@patient_app.command("move")
def patient_move(
    uid: Annotated[str, typer.Argument(metavar="UID", help="A film's SOP or Study Instance UID.")],
    into: Into = None,
    into_issuer: IntoIssuer = "",
    yes: Yes = False,
    config: Config = CONFIG,
) -> None:
    """Make one film, or all films of a study, those of another patient."""
    from scp.commands import patients

    with errors_to_exit_code():
        settings = load(config, "patient", quiet=True)
        right = _asked(into, "Correct Patient ID")
        patients.move(settings, uid, (right, into_issuer), yes=yes)


@patient_app.command("forget")
def patient_forget(
    patient_id: PatientId = None,
    issuer: Issuer = None,
    yes: Yes = False,
    config: Config = CONFIG,
) -> None:
    """Delete a patient's films, answers and rows here. What a PACS has, it keeps."""
    from scp.commands import patients

    with errors_to_exit_code():
        settings = load(config, "patient", quiet=True)
        patients.forget(settings, (_asked(patient_id, "Patient ID"), issuer), yes=yes)


def _asked(value: str | None, what: str) -> str:
    entered: str = typer.prompt(what) if value is None else value
    return entered.strip()
