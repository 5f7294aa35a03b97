"""What the commands show and how they find files."""

from collections import Counter
from collections.abc import Iterable
from datetime import UTC
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from scp.errors import ConfigError
from scp.index.acquisition import acquired
from scp.index.schema.tables import FilmState
from scp.index.values import FilmRow

NOT_A_DEVICE = "AI result, for research use only. Not a medical device."


def progress() -> Progress:
    """Return the progress bar that all commands show, on stderr."""
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
        console=Console(stderr=True),
        transient=True,
    )


def outcome_of(film: FilmRow) -> str:
    """Say in words what became of a film."""
    if film.state is not FilmState.ANSWERED:
        return f"{film.state}: {film.detail}" if film.detail else str(film.state)
    compared = ""
    if film.prior is not None and not film.prior.comparable:
        compared = f", {film.prior.limitation}"
    elif film.prior is not None and (taken := acquired(film.prior, UTC)) is not None:
        compared = f", compared with the film of {taken.text_with_source}"
    none = "" if film.positives else ", no finding at or above its threshold"
    return f"answered{compared}{none}"


def files_in(paths: Iterable[Path]) -> list[Path]:
    """Return the files named, and those in the folders named, sorted.

    Raises
    ------
    ConfigError
        A path is not there.
    """
    found: list[Path] = []
    for path in paths:
        if not path.exists():
            raise ConfigError(f"{path} is not there")
        found += sorted(p for p in path.rglob("*") if p.is_file()) if path.is_dir() else [path]
    return found


def numbered(kinds: Iterable[str]) -> list[str]:
    """Return names for files: the second object of a kind is "kind-2", and so on."""
    seen: Counter[str] = Counter()
    names = []
    for kind in kinds:
        seen[kind] += 1
        names.append(kind if seen[kind] == 1 else f"{kind}-{seen[kind]}")
    return names
