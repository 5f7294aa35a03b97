"""`hilum pretrain`, `train`, `evaluate`, `localise`, `export`, and the input check's commands.

The service's command line finds them by the entry points ``hilum.commands``, so that it need not
import `training`. ``python -m training.cli`` is the same without the service. Each command imports
what it needs when it runs: torch takes seconds.
"""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from training.settings import (
    SPLITS,
    CheckSettings,
    PretrainSettings,
    TrainSettings,
    read_settings,
)

app = typer.Typer(no_args_is_help=True, help="Train, measure and export the network.")

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
CheckRun = Annotated[Path | None, typer.Option(help="folder of a run of `hilum train-check`")]
Device = Annotated[str, typer.Option(help="auto, cpu, cuda or cuda:N")]


@contextmanager
def _errors_as_text() -> Iterator[None]:
    """Say what is wrong in one line instead of a traceback."""
    from inference.bundle import BundleError
    from inference.engine import EngineError
    from training.boxes import BadBoxList
    from training.export import BundleExists, NoRun
    from training.input_check import NoCheck
    from training.loop import OtherRun
    from training.records import BadFilmList
    from training.reference import BadReference
    from training.report import NoPlots
    from training.settings import BadSetting
    from training.teacher import NoTeacher
    from training.weights import NoWeights

    known = (BadFilmList, BadSetting, BundleError, BundleExists, EngineError, NoRun, NoTeacher)
    try:
        yield
    except (*known, BadBoxList, BadReference, NoCheck, NoPlots, NoWeights, OtherRun) as error:
        typer.echo(f"error: {error}", err=True)
        raise typer.Exit(1) from error


@app.command()
def pretrain(
    *,
    folders: Annotated[list[Path], typer.Option("--folder", help="folder of films; repeatable")],
    films: Films = None,
    nih: Nih = None,
    out: Out,
    config: Config = None,
    settings: Set = None,
    device: Device = "auto",
) -> None:
    """Learn what films look like from films without labels, and the train films of a list."""
    from training.pretrain import films_of, pretrain
    from training.train import on_devices

    with _errors_as_text():
        chosen = read_settings(PretrainSettings, config, settings or [])
        records = films_of(folders, films, nih)
        typer.echo(on_devices(lambda ready: pretrain(records, out, ready), chosen, device))


@app.command()
def train(
    *,
    films: Films = None,
    nih: Nih = None,
    out: Out,
    config: Config = None,
    settings: Set = None,
    device: Device = "auto",
) -> None:
    """Train on the train split, choosing the epoch by the val split. Killed, it goes on.

    On several GPUs: torchrun --nproc-per-node gpu -m training.cli train ...
    """
    from training.records import Source
    from training.train import on_devices, train

    with _errors_as_text():
        chosen = read_settings(TrainSettings, config, settings or [])
        source = Source(films, nih)
        typer.echo(on_devices(lambda ready: train(source, out, ready), chosen, device))


@app.command()
def evaluate(
    *,
    films: Films = None,
    nih: Nih = None,
    split: Annotated[str, typer.Option(help=f"one of {', '.join(SPLITS)}")] = "test",
    bundle: BundleFolder = None,
    reference: Annotated[
        Path | None, typer.Option(help="CSV of another network's probabilities on these films")
    ] = None,
    out: Annotated[
        Path | None, typer.Option(help="folder for report.html, evaluation.json and plots")
    ] = None,
    as_json: AsJson = False,
    device: Device = "auto",
) -> None:
    """Measure a bundle on labelled films, with 95 % intervals, and by group of films."""
    from inference.bundle import default_bundle, load_bundle
    from inference.engine import Engine
    from training.evaluation import read_all
    from training.records import BadFilmList, Source
    from training.reference import scores_for
    from training.report import measure_bundle, need_plots, write_report

    with _errors_as_text():
        if out:
            need_plots()
        records = [record for record in Source(films, nih).records() if record.split == split]
        if not records:
            raise BadFilmList(f"{films or nih}: no film is in split {split!r}")
        theirs = scores_for(records, reference) if reference else None
        loaded = load_bundle(bundle or default_bundle())
        with Engine(loaded, device=device) as engine:
            predictions = read_all(engine, records)
        name = reference.stem if reference else ""
        report = measure_bundle(predictions, records, loaded.identity, theirs, name)
        page = write_report(report, out) if out else None
    if as_json:
        typer.echo(json.dumps(report.as_json(), indent=2, allow_nan=False))
    else:
        report.print()
    if page:
        typer.echo(f"written: {page}", err=True)


@app.command()
def localise(
    *,
    films: Films = None,
    nih: Nih = None,
    boxes: Annotated[Path, typer.Option(help="boxes.csv, or NIH's BBox_List_2017.csv (also .gz)")],
    bundle: BundleFolder = None,
    size_px: Annotated[
        int | None, typer.Option(help="side of the input; the bundle's when left out")
    ] = None,
    randomised: Annotated[
        bool, typer.Option("--randomised", help="also the same network with its weights shuffled")
    ] = False,
    variants: Annotated[
        bool, typer.Option("--variants", help="compare other kinds of maps instead")
    ] = False,
    as_json: AsJson = False,
    device: Device = "auto",
) -> None:
    """Measure heat maps against radiologists' boxes, beside chance and Wang et al. 2017.

    The list must be the one whose train split the bundle was trained on.
    """
    from inference.bundle import default_bundle, load_bundle
    from training.boxes import read_boxes
    from training.localise import localise as measure
    from training.records import Source

    with _errors_as_text():
        loaded = load_bundle(bundle or default_bundle())
        records, drawn = Source(films, nih).records(), read_boxes(boxes)
        measured = measure(
            loaded, records, drawn, size_px, device, randomised=randomised, variants=variants
        )
    if as_json:
        identity = loaded.identity
        said = {
            "bundle": identity.name,
            "version": identity.version,
            "sha256": identity.sha256,
            "subsets": [one.as_json() for one in measured],
        }
        typer.echo(json.dumps(said, indent=2, allow_nan=False))
    else:
        for one in measured:
            Console().print(one.table())


@app.command()
def export(
    run: Annotated[Path, typer.Argument(help="folder of a run of `hilum train`")],
    *,
    out: Annotated[Path, typer.Option(help="folder of the new bundle; must not exist")],
    size_px: Annotated[
        int | None, typer.Option(help="side of the input; that of training when left out")
    ] = None,
    boxes: Annotated[
        Path | None,
        typer.Option(help="radiologists' boxes: maps no better than chance there are withheld"),
    ] = None,
    name: str = "chest14",
    version: str = "0.1.0",
    device: Device = "auto",
    check: CheckRun = None,
) -> None:
    """Calibrate a run's best weights on val, write the bundle, measure it on test for its card."""
    from training.export import export_run

    with _errors_as_text():
        bundle = export_run(
            run,
            out,
            size_px=size_px,
            boxes=boxes,
            check=check,
            name=name,
            version=version,
            device=device,
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
    from training.input_check import train_check
    from training.records import Source
    from training.train import on_devices

    with _errors_as_text():
        chosen = read_settings(CheckSettings, config, settings or [])
        source = Source(films, nih)
        typer.echo(
            on_devices(lambda ready: train_check(source, folders or [], out, ready), chosen, device)
        )


@app.command("add-check")
def add_check(
    bundle: Annotated[Path, typer.Argument(help="folder of a bundle; it stays as it is")],
    *,
    check: Annotated[Path, typer.Option(help="folder of a run of `hilum train-check`")],
    out: Annotated[Path, typer.Option(help="folder of the new bundle; must not exist")],
) -> None:
    """Copy a bundle and put a trained input check into the copy."""
    from inference.bundle import load_bundle
    from training.export import with_input_check

    with _errors_as_text():
        made = with_input_check(load_bundle(bundle), check, out).identity
        typer.echo(f"{out}: {made.name} {made.version}, SHA-256 {made.sha256}")


@app.command("evaluate-check")
def evaluate_check(
    *,
    films: Films = None,
    nih: Nih = None,
    split: Split = "test",
    bundle: BundleFolder = None,
    films_at_most: FilmsAtMost = None,
    as_json: AsJson = False,
) -> None:
    """Measure which share of real films, and of what is none, a bundle's input check refuses."""
    from inference.bundle import default_bundle, load_bundle
    from training.check_evaluation import as_json as plain
    from training.check_evaluation import evaluate_check as measure
    from training.check_evaluation import table
    from training.input_check import NoCheck
    from training.records import Source, of_split

    with _errors_as_text():
        records = of_split(Source(films, nih), split)[:films_at_most]
        folder = bundle or default_bundle()
        check = load_bundle(folder).input_check()
        if check is None:
            raise NoCheck(f"{folder} has no input check; put one in with `hilum add-check`")
        judged = measure(check, records)
    if as_json:
        typer.echo(json.dumps(plain(judged), indent=2))
    else:
        Console().print(table(judged))


@app.command()
def invariance(
    *,
    films: Films = None,
    nih: Nih = None,
    split: Split = "val",
    bundle: BundleFolder = None,
    films_at_most: FilmsAtMost = None,
    as_json: AsJson = False,
    device: Device = "auto",
) -> None:
    """Measure how far probabilities move when the same film comes with another window, turned..."""
    from inference.bundle import default_bundle, load_bundle
    from inference.engine import Engine
    from training.invariance import as_json as plain
    from training.invariance import measure_invariance, table
    from training.records import Source, of_split

    with _errors_as_text():
        records = of_split(Source(films, nih), split)[:films_at_most]
        with Engine(load_bundle(bundle or default_bundle()), device=device) as engine:
            moved = measure_invariance(engine, records)
    if as_json:
        typer.echo(json.dumps(plain(moved), indent=2))
    else:
        Console().print(table(moved))


if __name__ == "__main__":
    app()
