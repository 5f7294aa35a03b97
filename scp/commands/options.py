"""What every command of `hilum` has in common: its options, its exit codes, its configuration."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from inference.errors import NotInstalled, missing_packages_named
from scp.errors import CANNOT_START, CertificateUnusable, ConfigError, HilumError, ServiceError

if TYPE_CHECKING:
    from scp.config.load import Settings

Config = Annotated[
    Path, typer.Option("--config", "-c", envvar="HILUM_CONFIG", help="The configuration file.")
]
Json = Annotated[bool, typer.Option("--json", help="Print JSON for scripts, not a table.")]
CONFIG = Path("config.toml")


@contextmanager
def errors_to_exit_code() -> Iterator[None]:
    """Print what went wrong in one sentence, and leave with the right code."""
    try:
        with missing_packages_named():
            yield
    except (CertificateUnusable, ConfigError, NotInstalled, ServiceError) as error:
        typer.secho(f"hilum: {error}", err=True, fg=typer.colors.RED)
        raise typer.Exit(CANNOT_START) from error
    except HilumError as error:
        typer.secho(f"hilum: {error}", err=True, fg=typer.colors.RED)
        raise typer.Exit(1) from error


def load(config: Path, role: str, *, quiet: bool = False, without_file: bool = False) -> "Settings":
    """Read the configuration, and begin the log of a role.

    ``without_file``: where nobody named a file and this folder has none, the defaults do.
    """
    from scp.config.load import load_settings
    from scp.monitoring import logs

    missing = without_file and config == CONFIG and not config.exists()
    settings = load_settings(config, needed=not missing)
    logs.configure_logs(role, quiet=quiet)
    return settings
