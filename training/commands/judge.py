"""`hilum judge`: what a bundle may say, and which of its maps may be shown."""

from pathlib import Path
from typing import Annotated

import typer

from training.commands.options import (
    Boxes,
    BundleFolder,
    Config,
    Device,
    Experts,
    Films,
    Nih,
    Out,
    Set,
    errors_as_text,
)
from training.evaluation.text_table import say
from training.settings import TrainSettings, read_settings

app = typer.Typer()


@app.command("cross-validate")
def cross_validate(
    *,
    films: Films = None,
    nih: Nih = None,
    experts: Experts = None,
    boxes: Boxes = None,
    out: Out,
    config: Config = None,
    settings: Set = None,
    folds: Annotated[int, typer.Option(min=2, help="parts by patient")] = 5,
    seeds: Annotated[int, typer.Option(min=1, help="networks for each part")] = 1,
    sources: Annotated[
        bool, typer.Option("--sources", help="leave each source out in turn, instead of folds")
    ] = False,
    device: Device = "auto",
) -> None:
    """Score settings on films of train and val whose patients did not teach. Killed, it goes on."""
    with errors_as_text():
        from inference.model.engine import find_device
        from training.classifier.cross_validation import by_patient, by_source, text_table
        from training.classifier.cross_validation import cross_validate as validated
        from training.data.film_list import Source

        chosen = read_settings(TrainSettings, config, settings or [])
        records = Source(films, nih, experts, tuple(boxes or ())).records()
        parts = by_source(records) if sources else by_patient(records, folds)
        validations = []
        for seed in range(seeds):
            ready = {"device": find_device(device).type, "seed": chosen.seed + seed}
            run = out / f"seed-{chosen.seed + seed}"
            validations.append(validated(parts, run, chosen.model_copy(update=ready)))
    say(text_table(validations).table())


@app.command()
def judge(
    *,
    films: Films = None,
    nih: Nih = None,
    boxes: Annotated[list[Path], typer.Option(help="radiologists' boxes; may be repeated")],
    experts: Experts = None,
    taught: Annotated[
        Path | None,
        typer.Option(help="list whose train split taught the bundle; that of --films if left out"),
    ] = None,
    bundle: BundleFolder = None,
    prevalences: Annotated[
        str, typer.Option(help="that the probabilities hold for: nih, or films (as calibrated)")
    ] = "nih",
    on_test: Annotated[
        bool, typer.Option("--on-test", help="measure on test films instead; no copy is made")
    ] = False,
    out: Annotated[
        Path | None, typer.Option(help="folder of the judged copy; left out: only say the verdicts")
    ] = None,
    version: Annotated[str | None, typer.Option(help="of the copy")] = None,
    figure: Annotated[
        Path | None, typer.Option(help="PNG of maps beside boxes, hits and misses, to be written")
    ] = None,
    device: Device = "auto",
) -> None:
    """Judge findings and maps on films that did not teach, and put the verdicts into a copy."""
    with errors_as_text():
        from inference.model.bundle import load_bundle
        from inference.model.metadata import bundle_folder
        from training.bundle.judge import judged_bundle, judged_by, unseen_films
        from training.bundle.prevalences import read_prevalences
        from training.data.boxes import read_box_lists
        from training.data.film_list import Source
        from training.evaluation.maps import film_outputs
        from training.settings import BadSetting

        if on_test and out is not None:
            raise BadSetting("test films only measure: leave out either --out or --on-test")
        chosen = read_prevalences(prevalences)
        records = Source(films, nih, experts).records()
        teachers = Source(films=taught).records() if taught else records
        unseen = unseen_films(records, teachers, test=on_test)
        drawn = read_box_lists(boxes)
        loaded = load_bundle(bundle_folder(bundle))
        maps, logits = film_outputs(loaded.network(), loaded.preprocessing, unseen, device)
        verdicts = judged_by(maps, logits, unseen, drawn)
        for text_table in verdicts.sheets():
            say(text_table.table())
        if figure is not None:
            from training.evaluation.map_figure import draw_examples

            typer.echo(draw_examples(loaded, maps, unseen, drawn, figure))
        if out is not None:
            made = judged_bundle(loaded, verdicts, out, chosen, version).identity
            typer.echo(f"{out}: {made.name} {made.version}, SHA-256 {made.sha256}")
