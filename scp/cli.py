"""The command `hilum`: parse, load the configuration, wire, run.

Each command imports what it needs when it runs, so that `hilum --help` is there at once.

The only place for exit codes: 0 done, 1 done but not all well, 2 wrong usage (Typer's own),
78 wrong configuration or a role that cannot start (EX_CONFIG).
"""

import os
from importlib.metadata import entry_points
from pathlib import Path
from typing import Annotated

import typer

from inference.errors import require_torch
from scp.commands.backup_app import backup, restore
from scp.commands.options import CONFIG, Config, Json
from scp.commands.options import errors_to_exit_code as _errors_to_exit_code
from scp.commands.options import load as _load
from scp.commands.patient_app import patient_app
from scp.commands.queue_app import queue_app
from scp.commands.user_app import audit, user_app

app = typer.Typer(
    help="Reads chest X-rays beside a PACS, compares them with the prior film, and answers in the"
    " same study. For research use only; not a medical device.",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode="rich",
    pretty_exceptions_enable=False,  # a traceback's locals may hold a patient's name
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.add_typer(queue_app, name="queue", rich_help_panel="Operate")
app.add_typer(patient_app, name="patient", rich_help_panel="Operate")
app.add_typer(user_app, name="user", rich_help_panel="Operate")
app.command("audit", rich_help_panel="Operate")(audit)
app.command("backup", rich_help_panel="Operate")(backup)
app.command("restore", rich_help_panel="Operate")(restore)

Name = Annotated[
    str | None,
    typer.Option(help="A name that stays the same after a restart and differs between processes."),
]
Descriptor = Annotated[int | None, typer.Option("--fd", hidden=True)]
TlsDescriptor = Annotated[int | None, typer.Option("--tls-fd", hidden=True)]
Supervisor = Annotated[int | None, typer.Option(hidden=True)]


@app.command(rich_help_panel="Run")
def serve(config: Config = CONFIG) -> None:
    """Run the whole service on this machine: receiver, worker, dashboard."""
    with _errors_to_exit_code():
        settings = _load(config, "serve")
        require_torch()
        from scp.processes.supervisor import serve as run

        run(settings, str(config), lambda line: print(line, flush=True))


@app.command(rich_help_panel="Run")
def receive(
    config: Config = CONFIG,
    name: Name = None,
    descriptor: Descriptor = None,
    tls_descriptor: TlsDescriptor = None,
    supervisor: Supervisor = None,
) -> None:
    """Run a receiver alone: films over DICOM into archive and queue."""
    with _errors_to_exit_code():
        settings = _load(config, "receive")
        from scp.processes import receive, runtime
        from scp.processes.sockets import receiver_sockets

        listening = receiver_sockets(settings.receiver, descriptor, tls_descriptor)
        stop = runtime.Stop(supervisor)
        receive.receive(settings, listening, name or runtime.default_name("receive"), stop)


@app.command(rich_help_panel="Run")
def work(config: Config = CONFIG, name: Name = None, supervisor: Supervisor = None) -> None:
    """Run a worker alone: films from the queue, answers to the destinations."""
    with _errors_to_exit_code():
        settings = _load(config, "work")
        require_torch()
        from scp.processes import runtime

        stop = runtime.Stop(supervisor)  # before torch, whose loading takes seconds, is loaded
        name, start_id = name or runtime.default_name("work"), runtime.this_start()
        with runtime.open_context(settings) as context:
            runtime.begin_role(context, name, "work", start_id)
        from scp.processes.work import work as run

        run(settings, name, stop, start_id)


@app.command(rich_help_panel="Run")
def dashboard(
    config: Config = CONFIG,
    name: Name = None,
    descriptor: Descriptor = None,
    supervisor: Supervisor = None,
) -> None:
    """Run the dashboard alone: web page, health, metrics."""
    with _errors_to_exit_code():
        settings = _load(config, "dashboard")
        from scp.processes import runtime, web
        from scp.processes.sockets import listening_socket

        where = settings.dashboard
        listening = listening_socket(where.host, where.port, "dashboard", descriptor)
        stop = runtime.Stop(supervisor)
        web.dashboard(settings, listening, name or runtime.default_name("dashboard"), stop)


@app.command(rich_help_panel="Use")
def send(
    paths: Annotated[list[Path], typer.Argument(help="DICOM files, or folders of them.")],
    to: Annotated[str, typer.Option(help="Where to: AE@HOST:PORT.")],
    calling: Annotated[str, typer.Option(help="Our own AE title.")] = "HILUM_SEND",
    tls_ca: Annotated[
        Path | None, typer.Option(help="Speak TLS; a PEM file with the CAs to trust.")
    ] = None,
    tls_certificate: Annotated[
        Path | None, typer.Option(help="Our certificate, as PEM, for who asks for one.")
    ] = None,
    tls_key: Annotated[Path | None, typer.Option(help="Its private key.")] = None,
    tls_name: Annotated[
        str | None, typer.Option(help="The name in its certificate, if not the host's.")
    ] = None,
    json: Json = False,
) -> None:
    """Send DICOM files to any storage SCP, and say what it answered for each."""
    from scp.commands.send import send_files, tls_of

    with _errors_to_exit_code():
        tls = tls_of(ca=tls_ca, certificate=tls_certificate, key=tls_key, name=tls_name)
        raise typer.Exit(send_files(paths, to, calling, as_json=json, tls=tls))


@app.command(rich_help_panel="Use")
def analyse(
    paths: Annotated[list[Path], typer.Argument(help="DICOM files, or folders of them.")],
    out: Annotated[Path, typer.Option(help="Folder for the answers; created if missing.")],
    config: Config = CONFIG,
    json: Json = False,
) -> None:
    """Read films without a network: the objects, findings as JSON, and a PNG preview of each.

    Films of one patient among them are compared, as the service would.
    """
    with _errors_to_exit_code():
        settings = _load(config, "analyse", quiet=True, without_file=True)
        from scp.commands.analyse import analyse_files

        raise typer.Exit(analyse_files(settings, paths, out, as_json=json))


@app.command(rich_help_panel="Use")
def compare(
    current: Annotated[Path, typer.Argument(help="The film: DICOM, PNG or JPEG.")],
    prior: Annotated[Path, typer.Argument(help="The earlier film of the same patient.")],
    out: Annotated[Path, typer.Option(help="Folder for pictures and JSON; created if missing.")],
    config: Config = CONFIG,
    json: Json = False,
) -> None:
    """Compare two films: each finding before and now, the differences as pictures, and JSON.

    Exit code 0, or 1 when the films may not be compared or a film may not be read.
    """
    with _errors_to_exit_code():
        settings = _load(config, "compare", quiet=True, without_file=True)
        from scp.commands.compare import compare_files

        raise typer.Exit(compare_files(settings, current, prior, out, as_json=json))


@app.command(rich_help_panel="Use")
def demo(
    config: Config = CONFIG,
    out: Annotated[Path, typer.Option(help="Folder for what comes back.")] = Path("demo-answers"),
    to: Annotated[
        str | None,
        typer.Option(help="Only send the films, to a PACS that forwards them: AE@HOST:PORT."),
    ] = None,
) -> None:
    """Send a real chest film, and a simulated earlier one, to the running service."""
    with _errors_to_exit_code():
        settings = _load(config, "demo", quiet=True)
        from scp.commands.demo import films_for_a_pacs, run_demo

        raise typer.Exit(films_for_a_pacs(to) if to else run_demo(settings, out))


@app.command(rich_help_panel="Operate")
def check(config: Config = CONFIG, json: Json = False) -> None:
    """Check configuration, model, ports, disk, database and every destination.

    Exit code 0, or 1 and a list of what is wrong and how to fix it.
    """
    from scp.commands.check import check_all
    from scp.monitoring import logs

    logs.configure_logs("check", quiet=True)
    raise typer.Exit(check_all(config, as_json=json))


@app.command("config", rich_help_panel="Operate")
def print_config() -> None:
    """Print config.toml with every setting, its default and what it is for."""
    from scp.config.reference import reference

    typer.echo(reference(), nl=False)


@app.command(rich_help_panel="Operate")
def conformance(
    config: Config = CONFIG,
    page: Annotated[
        Path | None,
        typer.Option(help="Renew the tables in this file, with the default settings."),
    ] = None,
) -> None:
    """Print the tables of the DICOM conformance statement, as this configuration makes them.

    For the administrator of the PACS; the statement itself is docs/conformance.md.
    """
    from scp.commands.conformance import filled, statement

    with _errors_to_exit_code():
        if page is None:
            typer.echo(statement(_load(config, "conformance", quiet=True)))
        else:
            from scp.config.load import Settings

            text = page.read_text(encoding="utf-8")
            page.write_text(filled(text, Settings()), encoding="utf-8")


@app.command(rich_help_panel="Operate")
def reindex(
    config: Config = CONFIG,
    everything: Annotated[
        bool, typer.Option("--all", help="Every film, not only those from before the upgrade.")
    ] = False,
) -> None:
    """Find films from before the upgrade by name too: read their headers from the archive.

    Beside the running service, once. Exit code 0, or 1 when a header could not be read.
    """
    with _errors_to_exit_code():
        settings = _load(config, "reindex", quiet=True)
        from scp.commands.reindex import reindex_films

        raise typer.Exit(reindex_films(settings, everything=everything))


@app.command(rich_help_panel="Operate")
def verify(
    config: Config = CONFIG,
    repair: Annotated[
        bool, typer.Option("--repair", help="Delete results and refused objects without a row.")
    ] = False,
    take_in: Annotated[
        bool,
        typer.Option("--take-in", help="Take films in that the index does not know, as if sent."),
    ] = False,
    old: Annotated[
        Path | None,
        typer.Option(help="A data_dir of before: look there for films that are not here."),
    ] = None,
    json: Json = False,
) -> None:
    """Look whether every file that the index names is there and unchanged, and no other.

    Beside the running service. It changes nothing without an option. Exit code 0, or 1 when
    something is wrong.
    """
    with _errors_to_exit_code():
        settings = _load(config, "verify", quiet=True)
        from scp.commands.verify import verify as look

        raise typer.Exit(look(settings, repair=repair, take_in=take_in, old=old, as_json=json))


def main() -> None:
    """Run `hilum`. Commands of other packages come in by the entry points `hilum.commands`."""
    os.umask(0o077)  # what hilum writes tells of patients: for its own user alone
    for entry in entry_points(group="hilum.commands"):
        app.command(entry.name, rich_help_panel="Train")(entry.load())
    app()


if __name__ == "__main__":
    main()
