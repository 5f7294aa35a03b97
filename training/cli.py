"""`hilum pretrain`, `hilum train`, `hilum tune`, `hilum lesions`, `evaluate`, `export`.

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

from training.settings import SPLITS, PretrainSettings, TrainSettings, read_settings

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
Device = Annotated[str, typer.Option(help="auto, cpu, cuda or cuda:N")]


@contextmanager
def _errors_as_text() -> Iterator[None]:
    """Say what is wrong in one line instead of a traceback."""
    from inference.bundle import BundleError
    from inference.engine import EngineError
    from training.export import BundleExists, NoRun
    from training.loop import OtherRun
    from training.records import BadFilmList
    from training.settings import BadSetting
    from training.teacher import NoTeacher
    from training.weights import NoWeights

    known = (BadFilmList, BadSetting, BundleError, BundleExists, EngineError, NoRun, NoTeacher)
    try:
        yield
    except (*known, NoWeights, OtherRun) as error:
        typer.echo(f"error: {error}", err=True)
        raise typer.Exit(1) from error


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
    from training.pretrain import films_of, pretrain
    from training.train import on_devices

    with _errors_as_text():
        chosen = read_settings(PretrainSettings, config, settings or [])
        records = films_of(folders or [], films, nih)
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
    from inference.engine import find_device
    from training.records import Source
    from training.studies import table
    from training.tune import read_plan, tune

    with _errors_as_text():
        plan = read_plan(config, settings or [])
        study = tune(Source(films, nih), out, plan, find_device(device).type)
    Console().print(table(study))


@app.command()
def lesions(
    *,
    films: Films = None,
    nih: Nih = None,
    out: Out,
    config: Config = None,
    settings: Set = None,
    contrast: Annotated[
        float, typer.Option(help="added to greys in [0, 1] in the middle of a disc")
    ] = 0.25,
    as_json: AsJson = False,
    device: Device = "auto",
) -> None:
    """Check the pipeline: it must find, and point at, discs laid into half of the films."""
    from inference.engine import find_device
    from training.lesions import learn_lesions
    from training.records import Source

    with _errors_as_text():
        chosen = read_settings(TrainSettings, config, settings or [])
        ready = chosen.model_copy(update={"device": find_device(device).type})
        score = learn_lesions(Source(films, nih), out, ready, contrast)
    if as_json:
        typer.echo(json.dumps(score.as_json(), indent=2))
    else:
        typer.echo(
            f"{score.films} held-out films, {score.lesions} with a disc: "
            f"AUC {score.auc:.4f}, pointing game {score.pointing:.4f}"
        )


@app.command()
def evaluate(
    *,
    films: Films = None,
    nih: Nih = None,
    split: Annotated[str, typer.Option(help=f"one of {', '.join(SPLITS)}")] = "test",
    bundle: BundleFolder = None,
    as_json: AsJson = False,
    device: Device = "auto",
) -> None:
    """Measure a bundle on labelled films, with 95 % intervals, all and 1024 px films apart."""
    from inference.bundle import default_bundle, load_bundle
    from inference.engine import Engine
    from training.evaluation import evaluate as measure
    from training.evaluation import read_all
    from training.records import BadFilmList, Source

    with _errors_as_text():
        records = [record for record in Source(films, nih).records() if record.split == split]
        if not records:
            raise BadFilmList(f"{films or nih}: no film is in split {split!r}")
        loaded = load_bundle(bundle or default_bundle())
        with Engine(loaded, device=device) as engine:
            evaluations = measure(read_all(engine, records), records)
    if as_json:
        said = {
            "bundle": loaded.identity.name,
            "version": loaded.identity.version,
            "sha256": loaded.identity.sha256,
            "split": split,
            "subsets": [evaluation.as_json() for evaluation in evaluations],
        }
        typer.echo(json.dumps(said, indent=2, allow_nan=False))
    else:
        for evaluation in evaluations:
            Console().print(evaluation.table())


@app.command()
def export(
    run: Annotated[Path, typer.Argument(help="folder of a run of `hilum train`")],
    *,
    out: Annotated[Path, typer.Option(help="folder of the new bundle; must not exist")],
    size_px: Annotated[
        int | None, typer.Option(help="side of the input; that of training when left out")
    ] = None,
    name: str = "chest14",
    version: str = "0.1.0",
    device: Device = "auto",
) -> None:
    """Calibrate a run's best weights on val, write the bundle, measure it on test for its card."""
    from training.export import export_run

    with _errors_as_text():
        bundle = export_run(run, out, size_px=size_px, name=name, version=version, device=device)
        typer.echo(f"{out}: {bundle.identity.name} {bundle.identity.version}")


if __name__ == "__main__":
    app()
