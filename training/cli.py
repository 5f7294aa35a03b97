"""`hilum pretrain`, `train`, `tune`, `export`, and what else makes a bundle.

The service's command line finds the commands by the entry points ``hilum.commands``, so that it
need not import `training`. ``python -m training.cli`` is the same without the service. Each command
imports what it needs when it runs: torch takes seconds.
"""

from pathlib import Path
from typing import Annotated

import typer

from training.commands.change import app as change_commands
from training.commands.heart import app as heart_commands
from training.commands.judge import app as verdict_commands
from training.commands.measure import app as measures
from training.commands.options import (
    Boxes,
    CheckRun,
    Config,
    Device,
    Experts,
    Films,
    Folds,
    HeartRun,
    LungRun,
    Masks,
    NewBundle,
    NewVersion,
    Nih,
    OldBundle,
    Out,
    Set,
    add_part_of,
    errors_as_text,
)
from training.evaluation.text_table import say
from training.settings import (
    CheckSettings,
    LungSettings,
    PretrainSettings,
    TrainSettings,
    read_settings,
)

app = typer.Typer(no_args_is_help=True, help="Train, measure and export the network.")
for _more in (measures, change_commands, verdict_commands, heart_commands):
    app.registered_commands += _more.registered_commands


@app.command()
def pretrain(
    *,
    folders: Annotated[
        list[Path] | None, typer.Option("--folder", help="folder of films; repeatable")
    ] = None,
    films: Films = None,
    nih: Nih = None,
    out: Out,
    config: Config = None,
    settings: Set = None,
    device: Device = "auto",
) -> None:
    """Learn what films look like from films without labels, and the train films of a list."""
    with errors_as_text():
        from training.classifier.pretrain import films_of, pretrain
        from training.classifier.train import on_devices

        chosen = read_settings(PretrainSettings, config, settings or [])
        records = films_of(folders or [], films, nih)
        typer.echo(on_devices(lambda ready: pretrain(records, out, ready), chosen, device))


@app.command()
def train(
    *,
    films: Films = None,
    nih: Nih = None,
    experts: Experts = None,
    boxes: Boxes = None,
    out: Out,
    config: Config = None,
    settings: Set = None,
    device: Device = "auto",
) -> None:
    """Train on the train split, choosing the epoch by the val split. Killed, it goes on.

    Boxes teach only where the setting box_weight is above 0.

    On several GPUs: torchrun --nproc-per-node gpu -m training.cli train ...
    """
    with errors_as_text():
        from training.classifier.train import on_devices, train
        from training.data.film_list import Source

        chosen = read_settings(TrainSettings, config, settings or [])
        source = Source(films, nih, experts, tuple(boxes or ()))
        typer.echo(on_devices(lambda ready: train(source, out, ready), chosen, device))


@app.command()
def tune(
    *,
    films: Films = None,
    nih: Nih = None,
    out: Out,
    config: Annotated[Path, typer.Option(help="TOML file of the study", exists=True)],
    settings: Set = None,
    device: Device = "auto",
) -> None:
    """Search for settings as a file says; a table, a plot and best.toml. Killed, it goes on."""
    with errors_as_text():
        from inference.model.engine import find_device
        from training.classifier.tune import read_plan, tune
        from training.classifier.tune_report import table
        from training.data.film_list import Source

        plan = read_plan(config, settings or [])
        study = tune(Source(films, nih), out, plan, find_device(device).type)
    say(table(study))


@app.command()
def export(
    run: Annotated[Path, typer.Argument(help="folder of a run of `hilum train`")],
    *,
    out: NewBundle,
    size_px: Annotated[
        int | None, typer.Option(help="side of the input; that of training when left out")
    ] = None,
    boxes: Annotated[
        list[Path] | None,
        typer.Option(
            help="radiologists' boxes; those on films that judge say which maps are verified; "
            "may be repeated"
        ),
    ] = None,
    folds: Folds = None,
    taught: Annotated[
        Path | None,
        typer.Option(help="list whose train films taught the initial weights: they do not judge"),
    ] = None,
    name: str = "chest14",
    version: str = "0.1.0",
    prevalences: Annotated[
        str, typer.Option(help="that the probabilities hold for: nih, or films (as calibrated)")
    ] = "nih",
    device: Device = "auto",
    check: CheckRun = None,
    lungs: LungRun = None,
    heart: HeartRun = None,
    terms: Annotated[
        str, typer.Option(help="of use of the weights, by the films and labels that taught them")
    ] = "",
) -> None:
    """Calibrate a run's best weights on films that did not teach, and write the bundle.

    The card quotes what the bundle reaches on test films.
    """
    with errors_as_text():
        from training.bundle.export import export_run
        from training.bundle.model_card import NO_TERMS
        from training.bundle.prevalences import read_prevalences

        bundle = export_run(
            run,
            out,
            size_px=size_px,
            boxes=boxes or (),
            folds=folds,
            taught=taught,
            check=check,
            lungs=lungs,
            heart=heart,
            name=name,
            version=version,
            device=device,
            prevalences=read_prevalences(prevalences),
            terms=terms or NO_TERMS,
        )
        typer.echo(f"{out}: {bundle.identity.name} {bundle.identity.version}")


@app.command("train-check")
def train_check(
    *,
    films: Films = None,
    nih: Nih = None,
    folders: Annotated[
        list[Path] | None, typer.Option("--folder", help="more upright frontal films; repeatable")
    ] = None,
    out: Out,
    config: Config = None,
    settings: Set = None,
    device: Device = "auto",
) -> None:
    """Train the input check, which says whether a picture looks like an upright chest film."""
    with errors_as_text():
        from training.classifier.train import on_devices
        from training.data.film_list import Source
        from training.input_check.train import train_check

        chosen = read_settings(CheckSettings, config, settings or [])
        source = Source(films, nih)
        typer.echo(
            on_devices(lambda ready: train_check(source, folders or [], out, ready), chosen, device)
        )


@app.command("train-lungs")
def train_lungs(
    *,
    masks: Masks,
    out: Out,
    config: Config = None,
    settings: Set = None,
    device: Device = "auto",
) -> None:
    """Train the segmenter that finds the lungs of a film. Killed, it goes on."""
    with errors_as_text():
        from training.classifier.train import on_devices
        from training.lungs.train import train_lungs

        chosen = read_settings(LungSettings, config, settings or [])
        typer.echo(on_devices(lambda ready: train_lungs(masks, out, ready), chosen, device))


@app.command("add-check")
def add_check(
    bundle: OldBundle,
    *,
    check: Annotated[
        Path,
        typer.Option(
            help="folder of a run of `hilum train-check`, or of a bundle with an input check"
        ),
    ],
    out: NewBundle,
    version: NewVersion = None,
) -> None:
    """Copy a bundle and put a trained input check into the copy."""
    from training.bundle.parts import INPUT_CHECK

    add_part_of(INPUT_CHECK, bundle, check, out, version)


@app.command("add-lungs")
def add_lungs(
    bundle: OldBundle,
    *,
    lungs: Annotated[
        Path,
        typer.Option(
            help="folder of a run of `hilum train-lungs`, or of a bundle with lung fields"
        ),
    ],
    out: NewBundle,
    version: NewVersion = None,
) -> None:
    """Copy a bundle and put a trained lung segmenter into the copy."""
    from training.bundle.parts import LUNG_FIELDS

    add_part_of(LUNG_FIELDS, bundle, lungs, out, version)


@app.command("add-null")
def add_null(
    bundle: OldBundle,
    *,
    null: Annotated[Path, typer.Option(help="folder of a run of `hilum measure-null`")],
    out: NewBundle,
    version: NewVersion = None,
) -> None:
    """Copy a bundle and put its measured null distribution of change into the copy."""
    from training.bundle.parts import NULL

    add_part_of(NULL, bundle, null, out, version)


if __name__ == "__main__":
    app()
