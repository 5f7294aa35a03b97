"""From a trained network to a bundle that `inference` loads."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from inference.model.bundle import Bundle
from inference.model.calibration import OutputCalibration
from inference.model.engine import Engine, find_device
from inference.model.network import FindingNetwork
from inference.model.preprocessing import Preprocessing
from training.bundle.files import write_bundle
from training.bundle.judge import Verdicts, judge, judged_by, unseen_films
from training.bundle.model_card import NO_TERMS, Description, write_card
from training.bundle.parts import HEARTS, INPUT_CHECK, LUNG_FIELDS, BundleComponent, add_part
from training.bundle.prevalences import Prevalences, at_prevalences
from training.bundle.rounding import rounded
from training.classifier.calibration import calibrate_findings
from training.classifier.cross_validation import NoFolds, out_of_fold
from training.classifier.train import logits_of, source_of
from training.data.boxes import Box, read_box_lists
from training.data.film_list import Source
from training.data.film_set import load_films
from training.data.record import Record
from training.errors import TrainingError
from training.evaluation.classification import evaluate, read_all
from training.loop import BEST
from training.settings import TrainSettings


class NoRun(TrainingError, FileNotFoundError):
    """The folder holds no run that finished an epoch."""


def export_run(
    run: Path,
    out: Path,
    *,
    size_px: int | None = None,
    boxes: Sequence[Path] = (),
    folds: Path | None = None,
    taught: Path | None = None,
    name: str = "chest14",
    version: str = "0.1.0",
    device: str = "auto",
    check: Path | None = None,
    lungs: Path | None = None,
    heart: Path | None = None,
    prevalences: Prevalences = "nih",
    terms: str = NO_TERMS,
) -> Bundle:
    """Calibrate a run's best weights, write the bundle, and measure it on test.

    Parameters
    ----------
    boxes
        Lists of radiologists' boxes; those on films that judge, judge heat maps
        (`training.evaluation.pointing`).
    folds
        Of one seed of `hilum cross-validate`, of the run's settings: its films calibrate and judge,
        each by the network that it did not teach; None lets val films do so.
    taught
        List whose train films taught the weights that the run began with; their patients neither
        calibrate nor judge.
    check, lungs, heart
        Folders of their runs, or of bundles that have them; None makes a bundle without.
    prevalences
        That the probabilities hold for (`training.bundle.prevalences`).
    terms
        Of use of the weights: those of the films and labels that taught them.

    Raises
    ------
    NoRun, NoPart, NoFolds, BundleExists, BundleError, BadBoxList
    """
    best, settings, network = _trained(run)
    records = source_of(run).records()
    preprocessing = Preprocessing(size_px or settings.size_px)
    drawn = read_box_lists(boxes)
    judges = "the validation films" if folds is None else "films that did not teach"
    if folds is not None:
        calibrations, verdicts = _by_folds(folds, preprocessing, records, taught, drawn)
    elif settings.teach_val:
        raise NoFolds(f"val films taught {run}: calibrate by --folds of `hilum cross-validate`")
    else:
        calibrations, verdicts = _by_val(network, preprocessing, records, drawn, device)
    calibrations = verdicts.on(at_prevalences(calibrations, prevalences))
    command = _command(run, settings, size_px, folds)
    learnt = _learnt(best, settings)
    description = Description(name, version, settings.architecture, learnt, command, terms, judges)
    made = write_bundle(out, network, preprocessing, calibrations, description)
    bundle = _with_parts(made, ((INPUT_CHECK, check), (LUNG_FIELDS, lungs), (HEARTS, heart)))
    _measure(bundle, records, description, device)
    return bundle


def _with_parts(bundle: Bundle, parts: Sequence[tuple[BundleComponent, Path | None]]) -> Bundle:
    for part, origin in parts:
        bundle = bundle if origin is None else add_part(bundle, part, origin)
    return bundle


def _trained(run: Path) -> tuple[dict[str, Any], TrainSettings, FindingNetwork]:
    """Return what a run kept of its best epoch, its settings, and the network, rounded."""
    if not (run / BEST).is_file():
        raise NoRun(f"{run} holds no {BEST}; train at least one epoch")
    best = torch.load(run / BEST, map_location="cpu", weights_only=True)
    # a run of before there was a choice took the plain mean, whatever the default is now
    settings = TrainSettings.model_validate({"pooling": "mean"} | best["settings"])
    network = FindingNetwork(settings.architecture, pooling=settings.pooling)
    network.load_state_dict(best["weights"])
    network.load_state_dict(rounded(network))
    return best, settings, network


def _measure(
    bundle: Bundle, records: Sequence[Record], description: Description, device: str
) -> None:
    """Let the bundle's card quote what it reaches on test films, where there are some."""
    test = [record for record in records if record.split == "test"]
    if test:
        with Engine(bundle, device=device) as engine:
            measured = evaluate(read_all(engine, test), test)
        write_card(bundle.folder, description, bundle.metadata.hilum, measured)


def _by_val(
    network: FindingNetwork,
    preprocessing: Preprocessing,
    records: Sequence[Record],
    boxes: Sequence[Box],
    device: str,
) -> tuple[dict[str, OutputCalibration], Verdicts]:
    """Calibrate on val films; judge on the sharp ones of them."""
    held = load_films(records, "val", preprocessing)
    logits = logits_of(network.to(find_device(device)), held, str(find_device(device)))
    calibrations = calibrate_findings(logits, held.labels.double().numpy())
    unseen = unseen_films(records, records)
    return calibrations, judge(network, preprocessing, unseen, boxes, device)


def _by_folds(
    folds: Path,
    preprocessing: Preprocessing,
    records: Sequence[Record],
    taught: Path | None,
    boxes: Sequence[Box],
) -> tuple[dict[str, OutputCalibration], Verdicts]:
    """Calibrate and judge on sharp films of train and val, by networks that they did not teach."""
    began = Source(films=taught).records() if taught else []
    unseen = out_of_fold(unseen_films(records, began), folds, preprocessing.size_px)
    labels = np.array([record.labels for record in unseen.records], dtype=np.float64)
    maps = {record.name: grid for record, grid in zip(unseen.records, unseen.maps, strict=True)}
    verdicts = judged_by(maps, unseen.logits, unseen.records, boxes)
    return calibrate_findings(unseen.logits, labels), verdicts


def _learnt(best: Mapping[str, Any], settings: TrainSettings) -> str:
    """Say what taught the weights, which epoch's they are, and by what choice."""
    about = f"{best['about']}; the weights after"
    if settings.teach_val:
        return f"{about} the last of {settings.epochs} epochs."
    return f"{about} epoch {best['epoch']} of {settings.epochs}, chosen by the validation split."


def _command(run: Path, settings: TrainSettings, size_px: int | None, folds: Path | None) -> str:
    """Say how the bundle is made once more; no folder of this machine is in it."""
    changed = settings.model_dump(exclude_defaults=True)
    if Path(settings.initial).is_absolute():
        changed["initial"] = Path(settings.initial).name
    options = "".join(f" --set {key}={value}" for key, value in changed.items())
    commands = [f"hilum train --films films.csv --out runs/{run.name}{options}"]
    export = f"hilum export runs/{run.name} --out bundle"
    if size_px:
        export += f" --size-px {size_px}"
    if folds is not None:
        commands.insert(0, f"hilum cross-validate --films films.csv --out runs/folds{options}")
        export += f" --folds runs/folds/{folds.name}"
    return " && ".join([*commands, export])
