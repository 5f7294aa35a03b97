"""`hilum backup` and `hilum restore`, as they are typed."""

from pathlib import Path
from typing import Annotated

import typer

from scp.commands.options import CONFIG, Config, Json, errors_to_exit_code, load


def backup(
    to: Annotated[Path, typer.Option(help="Folder of the backups; best on another disk.")],
    keep: Annotated[
        int | None, typer.Option(min=1, help="Delete older ones: so many stay, with this one.")
    ] = None,
    config: Config = CONFIG,
    json: Json = False,
) -> None:
    """Back up database, films, results and audit trail, beside the running service.

    Exit code 0; 1 when it failed, or when files were gone or damaged before.
    """
    with errors_to_exit_code():
        settings = load(config, "backup", quiet=True)
        from scp.commands.backup import take_backup

        raise typer.Exit(take_backup(settings, config, to, keep, as_json=json))


def restore(
    folder: Annotated[Path, typer.Argument(help="The backup: a folder hilum-DATE.")],
    old: Annotated[
        Path | None,
        typer.Option(help="The data_dir of before: name the films that came after the backup."),
    ] = None,
    check: Annotated[
        bool, typer.Option("--check", help="Only read the backup: is it whole? Write nothing.")
    ] = False,
    config: Config = CONFIG,
) -> None:
    """Restore a backup into an empty data_dir and an empty database; the service is stopped.

    All hashes are checked before anything is written.
    """
    with errors_to_exit_code():
        from scp.commands.backup import check_backup, restore_backup

        if check:
            raise typer.Exit(check_backup(folder))
        settings = load(config, "restore", quiet=True)
        raise typer.Exit(restore_backup(settings, folder, old))
