"""From a trained network to a bundle that `inference` loads."""

import importlib.metadata
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from inference.findings import LABELS
from inference.model.bundle import Bundle, file_sha256, load_bundle
from inference.model.calibration import OutputCalibration
from inference.model.engine import Engine, find_device
from inference.model.metadata import CARD, CONFIG, METADATA, WEIGHTS, Hilum
from inference.model.network import FindingNetwork
from inference.model.preprocessing import Preprocessing
from training.bundle.judge import Verdicts, judge, judged_by, unseen_films
from training.bundle.model_card import NOTICE, Description, write_card
from training.bundle.parts import INPUT_CHECK, LUNG_FIELDS, BundleExists, add_part
from training.bundle.prevalences import Prevalences, at_prevalences
from training.bundle.rounding import rounded, store
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
    prevalences: Prevalences = "nih",
) -> Bundle:
    """Calibrate a run's best weights, write the bundle, and measure it on test.

    Val films calibrate and judge, or, with ``folds``, all films of train and val: each by the
    network of a cross-validation that it did not teach.

    Parameters
    ----------
    boxes
        Lists of radiologists' boxes; those on films that judge do so of heat maps
        (`training.evaluation.pointing`). A finding with fewer than `pointing.FEWEST` of them has no
        verified map.
    folds
        Folder of one seed of `hilum cross-validate`, of the run's settings.
    taught
        List whose train films taught the weights that the run began with; their patients neither
        calibrate nor judge.
    check, lungs
        Folders of runs of `hilum train-check` and `train-lungs`; None makes a bundle without.
    prevalences
        That the probabilities hold for (`training.bundle.prevalences`).

    Raises
    ------
    NoRun, NoPart, NoFolds, BundleExists, BadBoxList
    """
    best, settings, network = _trained(run)
    records = source_of(run).records()
    preprocessing = Preprocessing(size_px or settings.size_px)
    drawn = read_box_lists(boxes)
    if folds is not None:
        calibrations, verdicts = _by_folds(folds, preprocessing, records, taught, drawn)
    elif settings.teach_val:
        raise NoFolds(f"val films taught {run}: calibrate by --folds of `hilum cross-validate`")
    else:
        calibrations, verdicts = _by_val(network, preprocessing, records, drawn, device)
    calibrations = verdicts.on(at_prevalences(calibrations, prevalences))
    description = _describe(run, settings, best, name=name, version=version, size_px=size_px)
    bundle = write_bundle(out, network, preprocessing, calibrations, description)
    for part, made in ((INPUT_CHECK, check), (LUNG_FIELDS, lungs)):
        if made is not None:
            bundle = add_part(bundle, part, made)
    _measure(bundle, records, description, device)
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


def _describe(
    run: Path,
    settings: TrainSettings,
    best: Mapping[str, Any],
    *,
    name: str,
    version: str,
    size_px: int | None,
) -> Description:
    changed = settings.model_dump(exclude_defaults=True)
    options = "".join(f" --set {key}={value}" for key, value in changed.items())
    size = f" --size-px {size_px}" if size_px else ""
    return Description(
        name=name,
        version=version,
        architecture=settings.architecture,
        training_data=(
            f"{best['about']}; the weights after epoch {best['epoch']} of {settings.epochs}, "
            "chosen by the validation split."
        ),
        command=(
            f"hilum train --films films.csv --out runs/{run.name}{options} && "
            f"hilum export runs/{run.name} --out bundle{size}"
        ),
    )


def write_bundle(
    folder: Path,
    network: FindingNetwork,
    preprocessing: Preprocessing,
    calibrations: Mapping[str, OutputCalibration],
    description: Description,
) -> Bundle:
    """Write a bundle, its card without figures, and read it back.

    The weights are rounded to float16, half the size on disk; what is calibrated and measured
    should be the rounded network, which is what this returns.

    Raises
    ------
    BundleExists
        ``folder`` is there already.
    """
    if folder.exists():
        raise BundleExists(f"{folder} exists; export into a new folder")
    for name in (METADATA, WEIGHTS, CARD):
        (folder / name).parent.mkdir(parents=True)
    store(network, folder / WEIGHTS)
    hilum = Hilum(
        architecture=description.architecture,
        pooling=network.pooling,
        size_px=preprocessing.size_px,
        mean=preprocessing.mean,
        std=preprocessing.std,
        readings=dict(calibrations),
        weights_sha256=file_sha256(folder / WEIGHTS),
        training_data=description.training_data,
    )
    _write_json(folder / METADATA, _metadata(description, hilum))
    _write_json(folder / CONFIG, _config(hilum))
    write_card(folder, description, hilum, evaluations=())
    return load_bundle(folder)


def _metadata(description: Description, hilum: Hilum) -> dict[str, Any]:
    """Return metadata.json with MONAI's keys, and ours under ``hilum``."""
    version = importlib.metadata.version
    return {
        "name": description.name,
        "version": description.version,
        "changelog": {description.version: description.command},
        "monai_version": version("monai"),
        "pytorch_version": version("torch"),
        "numpy_version": version("numpy"),
        "required_packages_version": {
            "torchvision": version("torchvision"),
            "safetensors": version("safetensors"),
        },
        "task": "14 findings on a frontal chest X-ray, with class activation maps",
        "description": NOTICE,
        "intended_use": NOTICE,
        "authors": "hilum",
        "copyright": "Apache-2.0",
        "data_source": "ChestX-ray14, NIH Clinical Center (Wang et al., CVPR 2017)",
        "data_type": "8-bit grey pictures",
        "network_data_format": _data_format(hilum.size_px),
        "hilum": hilum.model_dump(),
    }


def _data_format(size_px: int) -> dict[str, Any]:
    image = {
        "type": "image",
        "format": "magnitude",
        "modality": "CR",
        "num_channels": 1,
        "spatial_shape": [size_px, size_px],
        "dtype": "float32",
        "value_range": [-2, 2],
        "is_patch_data": False,
        "channel_def": {"0": "film"},
    }
    logits = {
        "type": "probabilities",
        "format": "classification",
        "num_channels": len(LABELS),
        "spatial_shape": [1, 1],
        "dtype": "float32",
        "value_range": [],
        "is_patch_data": False,
        "channel_def": {str(k): label for k, label in enumerate(LABELS)},
    }
    return {"inputs": {"image": image}, "outputs": {"pred": logits}}


def _config(hilum: Hilum) -> dict[str, Any]:
    """Return inference.json, for MONAI's own tools; hilum itself never evaluates it."""
    return {
        "imports": ["$import torch", "$from safetensors.torch import load_file"],
        "bundle_root": ".",
        "device": "$torch.device('cuda' if torch.cuda.is_available() else 'cpu')",
        "network_def": {
            "_target_": "inference.model.network.FindingNetwork",
            "architecture": hilum.architecture,
            "labels": len(LABELS),
            "pooling": hilum.pooling,
        },
        "preprocessing": {
            "_target_": "inference.model.preprocessing.Preprocessing",
            "size_px": hilum.size_px,
            "mean": hilum.mean,
            "std": hilum.std,
        },
        "weights": f"$load_file(@bundle_root + '/{WEIGHTS.as_posix()}')",
        "initialize": ["$@network_def.load_state_dict(@weights)", "$@network_def.eval()"],
        "network": "$@network_def.to(@device)",
    }


def _write_json(path: Path, value: dict[str, Any]) -> None:
    path.write_text(json.dumps(value, indent=2) + "\n")
