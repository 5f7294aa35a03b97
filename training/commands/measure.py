"""`hilum evaluate`, `localise`, `invariance`, `measure-lungs` and others: measuring a bundle."""

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
    LungRun,
    Masks,
    Nih,
    Out,
    Set,
    Split,
    errors_as_text,
)
from training.evaluation.text_table import say
from training.settings import TrainSettings, read_settings

app = typer.Typer()


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
    size_px: Annotated[
        int | None, typer.Option(help="side of the films measured; that of training if left out")
    ] = None,
    as_json: AsJson = False,
    device: Device = "auto",
) -> None:
    """Check the pipeline: it must find, and point at, discs laid into half of the films."""
    with errors_as_text():
        from inference.model.engine import find_device
        from training.classifier.lesion_check import learn_lesions
        from training.data.film_list import Source

        chosen = read_settings(TrainSettings, config, settings or [])
        ready = chosen.model_copy(update={"device": find_device(device).type})
        score = learn_lesions(Source(films, nih), out, ready, contrast, size_px)
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
    split: Split = "test",
    bundle: BundleFolder = None,
    reference: Annotated[
        list[Path] | None,
        typer.Option(help="CSV of another network's probabilities on these films; repeatable"),
    ] = None,
    experts: Annotated[
        Path | None, typer.Option(help="measure on the films of this list alone, by its labels")
    ] = None,
    out: Annotated[
        Path | None, typer.Option(help="folder for report.html, evaluation.json and plots")
    ] = None,
    as_json: AsJson = False,
    device: Device = "auto",
) -> None:
    """Measure a bundle on labelled films, with 95 % intervals, and by group of films."""
    with errors_as_text():
        from inference.model.bundle import load_bundle
        from inference.model.engine import Engine
        from inference.model.metadata import bundle_folder
        from training.classifier.evaluate import measure_bundle, need_plots, write_report
        from training.data.expert_labels import expert_films
        from training.data.film_list import Source, of_split
        from training.evaluation.classification import read_all
        from training.evaluation.reference import scores_for

        if out:
            need_plots()
        records = of_split(Source(films, nih), split)
        records = expert_films(records, experts) if experts else records
        theirs = scores_for(records, *reference) if reference else None
        loaded = load_bundle(bundle_folder(bundle))
        with Engine(loaded, device=device) as engine:
            predictions = read_all(engine, records)
        name = reference[0].stem if reference else ""
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
    with errors_as_text():
        from inference.model.bundle import load_bundle
        from inference.model.metadata import bundle_folder
        from training.data.boxes import read_boxes
        from training.data.film_list import Source
        from training.evaluation.localisation_report import localise as measure

        loaded = load_bundle(bundle_folder(bundle))
        records, drawn = Source(films, nih).records(), read_boxes(boxes)
        measured = measure(
            loaded, records, drawn, size_px, device, randomised=randomised, variants=variants
        )
    if as_json:
        identity = loaded.identity
        report = {
            "bundle": identity.name,
            "version": identity.version,
            "sha256": identity.sha256,
            "subsets": [one.as_json() for one in measured],
        }
        typer.echo(json.dumps(report, indent=2, allow_nan=False))
    else:
        for one in measured:
            say(one.table())


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
    with errors_as_text():
        from inference.model.bundle import load_bundle
        from inference.model.metadata import bundle_folder
        from training.bundle.parts import NoPart
        from training.data.film_list import Source, of_split
        from training.input_check.evaluate import as_json as plain
        from training.input_check.evaluate import evaluate_check as measure
        from training.input_check.evaluate import table

        records = of_split(Source(films, nih), split)[:films_at_most]
        folder = bundle_folder(bundle)
        check = load_bundle(folder).input_check()
        if check is None:
            raise NoPart(f"{folder} has no input check; put one in with `hilum add-check`")
        judged = measure(check, records)
    if as_json:
        typer.echo(json.dumps(plain(judged), indent=2))
    else:
        say(table(judged))


@app.command("measure-lungs")
def measure_lungs(
    *,
    masks: Masks,
    bundle: BundleFolder = None,
    lungs: LungRun = None,
    as_json: AsJson = False,
) -> None:
    """Measure how well a bundle, or a run, finds lungs on films that never taught it."""
    with errors_as_text():
        from inference.model.bundle import load_bundle
        from inference.model.metadata import bundle_folder
        from training.bundle.parts import NoPart
        from training.lungs.evaluate import as_json as plain
        from training.lungs.evaluate import measure_lungs as measure
        from training.lungs.evaluate import pace_ms, text_table
        from training.lungs.masks import masked_files
        from training.lungs.train import lungs_of

        folder = bundle_folder(bundle)
        fields = lungs_of(lungs) if lungs else load_bundle(folder).lung_fields()
        if fields is None:
            raise NoPart(f"{folder} has no lung fields; put them in with `hilum add-lungs`")
        found = measure(fields, masked_files(masks))
    if as_json:
        typer.echo(json.dumps(plain(found), indent=2))
    else:
        say(text_table(found).table())
        typer.echo(f"{pace_ms(fields):.0f} ms a film of 512 px on one core")


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
    with errors_as_text():
        from inference.model.bundle import load_bundle
        from inference.model.engine import Engine
        from inference.model.metadata import bundle_folder
        from training.data.film_list import Source, of_split
        from training.evaluation.invariance import as_json as plain
        from training.evaluation.invariance import measure_invariance, table

        records = of_split(Source(films, nih), split)[:films_at_most]
        with Engine(load_bundle(bundle_folder(bundle)), device=device) as engine:
            moved = measure_invariance(engine, records)
    if as_json:
        typer.echo(json.dumps(plain(moved), indent=2))
    else:
        say(table(moved))
