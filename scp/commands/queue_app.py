"""`hilum queue`: what waits, runs, or stopped without success."""

from typing import Annotated

import typer

from scp.commands.options import CONFIG, Config, Json, errors_to_exit_code, load

queue_app = typer.Typer(
    help="Look at films and deliveries that wait or failed; retry or cancel them.",
    no_args_is_help=True,
)

JobId = Annotated[str, typer.Argument(help="As `hilum queue list` prints it.")]


@queue_app.command("list")
def queue_list(config: Config = CONFIG, json: Json = False) -> None:
    """List what waits, runs, or stopped without success."""
    from scp.commands import queue

    with errors_to_exit_code():
        queue.list_jobs(load(config, "queue", quiet=True), as_json=json)


@queue_app.command("show")
def queue_show(job: JobId, config: Config = CONFIG, json: Json = False) -> None:
    """Show one job: state, steps, outcome of its film or delivery."""
    from scp.commands import queue

    with errors_to_exit_code():
        queue.show_job(load(config, "queue", quiet=True), job, as_json=json)


@queue_app.command("retry")
def queue_retry(
    job: JobId,
    config: Config = CONFIG,
    done: Annotated[
        bool, typer.Option("--done", help="Also what is done, such as an answered film.")
    ] = False,
) -> None:
    """Do a failed or cancelled job again, one that waits for its time at once."""
    from scp.commands import queue

    with errors_to_exit_code():
        queue.retry_job(load(config, "queue", quiet=True), job, done=done)


@queue_app.command("cancel")
def queue_cancel(job: JobId, config: Config = CONFIG) -> None:
    """Take a job out of the queue; a cancelled delivery stays visible as such."""
    from scp.commands import queue

    with errors_to_exit_code():
        queue.cancel_job(load(config, "queue", quiet=True), job)
