"""`hilum user` and `hilum audit`: who may log in to the dashboard, and what people did."""

from datetime import datetime
from typing import Annotated

import typer

from scp.commands.options import CONFIG, Config, Json, errors_to_exit_code, load
from scp.index.accounts.tables import Access

user_app = typer.Typer(
    help="Add, list and remove those who may log in to the dashboard; change a password.",
    no_args_is_help=True,
)

UserName = Annotated[str, typer.Argument(metavar="NAME", help="The name to log in with.")]
Stdin = Annotated[
    bool,
    typer.Option("--password-stdin", help="Read the password from stdin instead of prompting."),
]


@user_app.command("add")
def user_add(
    name: UserName,
    access: Annotated[
        Access,
        typer.Option(
            help="A viewer can only look; an operator can also retry, cancel and discard."
        ),
    ],
    password_stdin: Stdin = False,
    config: Config = CONFIG,
) -> None:
    """Add a user, and ask for the password twice."""
    from scp.commands import users

    with errors_to_exit_code():
        users.add(load(config, "user", quiet=True), name, access, stdin=password_stdin)


@user_app.command("list")
def user_list(config: Config = CONFIG, json: Json = False) -> None:
    """List users, and what each may do."""
    from scp.commands import users

    with errors_to_exit_code():
        users.show(load(config, "user", quiet=True), as_json=json)


@user_app.command("password")
def user_password(name: UserName, password_stdin: Stdin = False, config: Config = CONFIG) -> None:
    """Set a new password; the user is logged out everywhere."""
    from scp.commands import users

    with errors_to_exit_code():
        users.set_password(load(config, "user", quiet=True), name, stdin=password_stdin)


@user_app.command("remove")
def user_remove(name: UserName, config: Config = CONFIG) -> None:
    """Remove a user, who is logged out everywhere."""
    from scp.commands import users

    with errors_to_exit_code():
        users.remove(load(config, "user", quiet=True), name)


def audit(
    person: Annotated[str | None, typer.Option(help="Only what this person did.")] = None,
    target: Annotated[str | None, typer.Option(help="Only what was done to this UID.")] = None,
    since: Annotated[datetime | None, typer.Option(help="Only from this time on (UTC).")] = None,
    config: Config = CONFIG,
) -> None:
    """Print the audit trail: who looked at, retried or discarded what; one JSON object a line."""
    from scp.commands import users

    with errors_to_exit_code():
        settings = load(config, "audit", quiet=True)
        users.print_audit(settings, person, target, since)
