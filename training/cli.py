"""`hilum train`, `hilum evaluate`, `hilum export`.

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

from inference.settings import Architecture
from training.settings import SPLITS, TrainSettings

DEFAULTS = TrainSettings()

app = typer.Typer(no_args_is_help=True, help="Train, measure and export the network.")

Films = Annotated[
    Path, typer.Option(help="list of labelled films (films.csv); they lie beside it", exists=True)
]
Device = Annotated[str, typer.Option(help="auto, cpu, cuda or cuda:N")]


@contextmanager
def _errors_as_text() -> Iterator[None]:
    """Say what is wrong in one line instead of a traceback."""
    from inference.bundle import BundleError
    from inference.engine import EngineError
    from training.data import BadFilmList
    from training.export import BundleExists, NoRun
    from training.loop import OtherRun

    try:
        yield
    except (BadFilmList, BundleError, BundleExists, EngineError, NoRun, OtherRun) as error:
        typer.echo(f"error: {error}", err=True)
        raise typer.Exit(1) from error


@app.command()
def train(
    *,
    films: Films,
    out: Annotated[Path, typer.Option(help="folder of the run; an unfinished one goes on")],
    epochs: Annotated[int, typer.Option(min=1)] = DEFAULTS.epochs,
    size_px: Annotated[int, typer.Option(min=32)] = DEFAULTS.size_px,
    start_px: Annotated[int, typer.Option(min=32)] = DEFAULTS.start_px,
    batch_size: Annotated[int, typer.Option(min=2)] = DEFAULTS.batch_size,
    learning_rate: Annotated[float, typer.Option(min=0)] = DEFAULTS.learning_rate,
    warmup_epochs: Annotated[int, typer.Option(min=0)] = DEFAULTS.warmup_epochs,
    architecture: Annotated[Architecture, typer.Option()] = DEFAULTS.architecture,
    seed: int = DEFAULTS.seed,
    device: Device = "auto",
) -> None:
    """Train on the train split, choosing the epoch by the val split. Killed, it goes on."""
    from inference.engine import find_device
    from training.loop import train as run_training

    with _errors_as_text():
        settings = TrainSettings(
            architecture=architecture,
            size_px=size_px,
            start_px=start_px,
            epochs=epochs,
            batch_size=batch_size,
            learning_rate=learning_rate,
            warmup_epochs=warmup_epochs,
            device=str(find_device(device)),
            seed=seed,
        )
        typer.echo(run_training(films, out, settings))


@app.command()
def evaluate(
    films: Films,
    split: Annotated[str, typer.Option(help=f"one of {', '.join(SPLITS)}")] = "test",
    bundle: Annotated[
        Path | None, typer.Option(help="folder of a bundle; hilum's own when left out")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="print JSON instead of tables")] = False,
    device: Device = "auto",
) -> None:
    """Measure a bundle on labelled films, with 95 % intervals, all and 1024 px films apart."""
    from inference.bundle import default_bundle, load_bundle
    from inference.engine import Engine
    from training.data import BadFilmList, read_film_list
    from training.evaluation import evaluate as measure
    from training.evaluation import read_all

    with _errors_as_text():
        records = [record for record in read_film_list(films) if record.split == split]
        if not records:
            raise BadFilmList(f"{films}: no film is in split {split!r}")
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
