"""`hilum measure-null`, `measure-change`: differences without change, and detected changes."""

import json
from pathlib import Path
from typing import Annotated

import typer

from training.commands.options import (
    AsJson,
    BundleFolder,
    Device,
    Films,
    Nih,
    Out,
    Pairs,
    errors_as_text,
)
from training.evaluation.text_table import say

app = typer.Typer()

Exposures = Annotated[
    int,
    typer.Option(min=0, help="how often each test film is exposed again; 0: pairs alone, sooner"),
]


@app.command("measure-null")
def measure_null(
    *,
    films: Films = None,
    nih: Nih = None,
    pairs: Pairs,
    bundle: BundleFolder = None,
    folds: Annotated[
        Path | None,
        typer.Option(
            help="folder of a seed of `hilum cross-validate`, for a bundle that val films taught: "
            "each film is read by the network that it did not teach"
        ),
    ] = None,
    out: Out,
    device: Device = "auto",
) -> None:
    """Measure how far a bundle's probabilities differ without change, for `hilum add-null`."""
    with errors_as_text():
        from inference.model.bundle import load_bundle
        from inference.model.engine import Engine
        from inference.model.metadata import bundle_folder
        from training.change.crossfit import table as false_changes
        from training.change.film_pairs import read_pairs
        from training.change.null import (
            null_of,
            read_out_of_fold,
            read_unchanged,
            table,
            write,
        )
        from training.data.film_list import Source

        records = Source(films, nih).records()
        listed = read_pairs(pairs, records)
        loaded = load_bundle(bundle_folder(bundle))
        if folds is not None:
            measured = read_out_of_fold(loaded, folds, records, listed, device)
        else:
            with Engine(loaded, device=device) as engine:
                measured = read_unchanged(engine, records, listed)
        null = null_of(measured)
        write(null, out)
    say(table(null))
    say(false_changes(measured))


@app.command("measure-change")
def measure_change(
    *,
    films: Films = None,
    nih: Nih = None,
    pairs: Pairs,
    bundle: BundleFolder = None,
    exposures: Exposures = 4,
    as_json: AsJson = False,
    device: Device = "auto",
) -> None:
    """Measure how often a change is named where there is none, and told where there is one."""
    with errors_as_text():
        from inference.model.bundle import load_bundle
        from inference.model.engine import Engine
        from inference.model.metadata import bundle_folder
        from training.bundle.parts import NoPart
        from training.change.evaluate import as_json as plain
        from training.change.evaluate import measure_change as measure
        from training.change.evaluate import tables
        from training.change.film_pairs import read_pairs
        from training.data.film_list import Source

        records = Source(films, nih).records()
        listed = read_pairs(pairs, records)
        folder = bundle_folder(bundle)
        loaded = load_bundle(folder)
        null = loaded.metadata.hilum.null
        if null is None:
            raise NoPart(f"{folder} has no null; put one in with `hilum add-null`")
        with Engine(loaded, device=device) as engine:
            measured = measure(engine, null, records, listed, exposures)
    if as_json:
        typer.echo(json.dumps(plain(measured), indent=2))
    else:
        for one in tables(measured):
            say(one)
