"""`hilum train-heart`, `add-heart`, `measure-heart` and `judge-ratio`: the cardiothoracic ratio."""

import json
from pathlib import Path
from typing import Annotated

import typer

from training.commands.options import (
    AsJson,
    BundleFolder,
    Config,
    Device,
    Films,
    FilmsAtMost,
    HeartRun,
    Hearts,
    NewBundle,
    NewVersion,
    Nih,
    OldBundle,
    Out,
    Set,
    Split,
    add_part_of,
    errors_as_text,
)
from training.evaluation.text_table import say
from training.settings import HeartSettings, read_settings

app = typer.Typer()


@app.command("train-heart")
def train_heart(
    *,
    hearts: Hearts,
    masks: Annotated[
        Path | None,
        typer.Option(help="more films, with masks of lungs alone: images/, masks/"),
    ] = None,
    out: Out,
    config: Config = None,
    settings: Set = None,
    device: Device = "auto",
) -> None:
    """Train the segmenter of lungs and heart, for the cardiothoracic ratio. Killed, it goes on."""
    with errors_as_text():
        from training.classifier.train import on_devices
        from training.heart.train import train_heart

        chosen = read_settings(HeartSettings, config, settings or [])
        typer.echo(on_devices(lambda ready: train_heart(hearts, masks, out, ready), chosen, device))


@app.command("add-heart")
def add_heart(
    bundle: OldBundle,
    *,
    heart: Annotated[
        Path,
        typer.Option(help="folder of a run of `hilum train-heart`, or of a bundle with a heart"),
    ],
    out: NewBundle,
    version: NewVersion = None,
) -> None:
    """Copy a bundle and put a trained heart segmenter into the copy."""
    from training.bundle.parts import HEARTS

    add_part_of(HEARTS, bundle, heart, out, version)


@app.command("measure-heart")
def measure_heart(
    *,
    hearts: Hearts,
    bundle: BundleFolder = None,
    heart: HeartRun = None,
    as_json: AsJson = False,
) -> None:
    """Measure how exact a bundle's, or a run's, cardiothoracic ratio is on films held apart."""
    with errors_as_text():
        from inference.model.bundle import load_bundle
        from inference.model.metadata import bundle_folder
        from training.bundle.parts import NoPart
        from training.heart.evaluate import as_json as plain
        from training.heart.evaluate import measure_heart as measure
        from training.heart.evaluate import text_table
        from training.heart.examples import heart_files
        from training.heart.train import heart_of

        folder = bundle_folder(bundle)
        finder = heart_of(heart) if heart else load_bundle(folder).heart_finder()
        if finder is None:
            raise NoPart(f"{folder} finds no heart; put one in with `hilum add-heart`")
        found = measure(finder, heart_files(hearts))
    if as_json:
        typer.echo(json.dumps(plain(found), indent=2))
    else:
        say(text_table(found).table())


@app.command("judge-ratio")
def judge_ratio(
    *,
    films: Films = None,
    nih: Nih = None,
    split: Split = "val",
    bundle: BundleFolder = None,
    heart: HeartRun = None,
    films_at_most: FilmsAtMost = None,
    as_json: AsJson = False,
    device: Device = "auto",
) -> None:
    """Measure whether the cardiothoracic ratio tells labelled cardiomegaly apart on PA films."""
    with errors_as_text():
        from inference.model.bundle import load_bundle
        from inference.model.engine import Engine
        from inference.model.metadata import bundle_folder
        from training.bundle.parts import NoPart
        from training.data.film_list import Source, of_split
        from training.heart.plausibility import as_json as plain
        from training.heart.plausibility import plausibility, text_table
        from training.heart.train import heart_of

        records = of_split(Source(films, nih), split)[:films_at_most]
        loaded = load_bundle(bundle_folder(bundle))
        finder = heart_of(heart) if heart else loaded.heart_finder()
        if finder is None:
            raise NoPart(f"{loaded.folder} finds no heart; put one in with `hilum add-heart`")
        with Engine(loaded, device=device) as engine:
            found = plausibility(finder, engine, records)
    if as_json:
        typer.echo(json.dumps(plain(found), indent=2))
    else:
        say(text_table(found).table())
