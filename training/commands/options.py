"""What the commands of `training` share: their options, and how they say what is wrong."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from inference.errors import BundleError, EngineError, NotInstalled, missing_packages_named
from training.errors import TrainingError
from training.settings import SPLITS

if TYPE_CHECKING:
    from training.bundle.parts import BundleComponent

Films = Annotated[
    Path | None, typer.Option(help="list of labelled films (films.csv); they lie beside it")
]
Nih = Annotated[
    Path | None, typer.Option(help="folder with ChestX-ray14 in the layout in which NIH has it")
]
Out = Annotated[Path, typer.Option(help="folder of the run; an unfinished one goes on")]
Config = Annotated[Path | None, typer.Option(help="TOML file of settings", exists=True)]
Set = Annotated[
    list[str] | None, typer.Option("--set", help="one setting, as NAME=VALUE; may be repeated")
]
BundleFolder = Annotated[
    Path | None, typer.Option(help="folder of a bundle; hilum's own when left out")
]
AsJson = Annotated[bool, typer.Option("--json", help="print JSON instead of tables")]
Split = Annotated[str, typer.Option(help=f"one of {', '.join(SPLITS)}")]
FilmsAtMost = Annotated[
    int | None, typer.Option(min=1, help="the first so many of the split; all when left out")
]
Masks = Annotated[
    Path, typer.Option(help="folder of films and of masks of their lungs: images/, masks/")
]
Hearts = Annotated[
    Path, typer.Option(help="folder with films.csv: films, and masks of their lungs and heart")
]
Pairs = Annotated[
    list[Path],
    typer.Option(
        help="list of pairs of films of one patient: columns prior, current; may be repeated"
    ),
]
Experts = Annotated[
    Path | None,
    typer.Option(help="radiologists' own labels, in place of the list's (expert_labels.csv)"),
]
Boxes = Annotated[
    list[Path] | None,
    typer.Option("--boxes", help="radiologists' boxes, which teach the maps; may be repeated"),
]
Folds = Annotated[
    Path | None,
    typer.Option(
        help="folder of a seed of `hilum cross-validate` with the run's settings: its films "
        "calibrate and judge, instead of val's"
    ),
]
CheckRun = Annotated[
    Path | None,
    typer.Option(help="folder of a run of `hilum train-check`, or of a bundle with an input check"),
]
LungRun = Annotated[
    Path | None,
    typer.Option(help="folder of a run of `hilum train-lungs`, or of a bundle with lung fields"),
]
HeartRun = Annotated[
    Path | None,
    typer.Option(help="folder of a run of `hilum train-heart`, or of a bundle with a heart"),
]
OldBundle = Annotated[Path, typer.Argument(help="folder of a bundle; it stays as it is")]
NewBundle = Annotated[Path, typer.Option(help="folder of the new bundle; must not exist")]
NewVersion = Annotated[
    str | None, typer.Option(help="of the new bundle; that of the old one when left out")
]
Device = Annotated[str, typer.Option(help="auto, cpu, cuda or cuda:N")]


@contextmanager
def errors_as_text() -> Iterator[None]:
    """Say what is wrong in one line instead of a traceback."""
    try:
        with missing_packages_named():
            yield
    except (BundleError, EngineError, NotInstalled, TrainingError) as error:
        typer.echo(f"error: {error}", err=True)
        raise typer.Exit(1) from error


def add_part_of(
    part: "BundleComponent", bundle: Path, origin: Path, out: Path, version: str | None
) -> None:
    """Copy a bundle, put a part of a run or of another bundle into the copy, and say so."""
    with errors_as_text():
        from inference.model.bundle import load_bundle
        from training.bundle.parts import with_part

        made = with_part(load_bundle(bundle), part, origin, out, version).identity
        typer.echo(f"{out}: {made.name} {made.version}, SHA-256 {made.sha256}")
