"""From a trained network to a bundle that `inference` loads."""

import importlib.metadata
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file

from inference.bundle import (
    CARD,
    CONFIG,
    METADATA,
    WEIGHTS,
    Bundle,
    Hilum,
    Reading,
    file_sha256,
    load_bundle,
)
from inference.findings import LABELS
from inference.model import Architecture, FindingNetwork
from inference.preprocessing import Preprocessing
from training.evaluation import Evaluation

NOTICE = (
    "A demonstration, not a medical device. It was trained on few films with text-mined labels; "
    "its probabilities must not influence the care of a patient."
)


class BundleExists(FileExistsError):
    """The folder of the new bundle is taken; a bundle is never overwritten."""


@dataclass(frozen=True)
class Description:
    """What a bundle says of itself."""

    name: str
    version: str
    architecture: Architecture
    training_data: str
    command: str


def write_bundle(
    folder: Path,
    network: FindingNetwork,
    preprocessing: Preprocessing,
    readings: Mapping[str, Reading],
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
    save_file(rounded(network), folder / WEIGHTS)
    hilum = Hilum(
        architecture=description.architecture,
        size_px=preprocessing.size_px,
        mean=preprocessing.mean,
        std=preprocessing.std,
        readings=dict(readings),
        weights_sha256=file_sha256(folder / WEIGHTS),
        training_data=description.training_data,
    )
    _write_json(folder / METADATA, _metadata(description, hilum))
    _write_json(folder / CONFIG, _config(hilum))
    write_card(folder, description, evaluations=())
    return load_bundle(folder)


def rounded(network: FindingNetwork) -> dict[str, torch.Tensor]:
    """Return the weights as they are stored: float16, counters as they are."""
    return {
        name: (value.half() if value.is_floating_point() else value).cpu().contiguous()
        for name, value in network.state_dict().items()
    }


def write_card(folder: Path, description: Description, evaluations: Sequence[Evaluation]) -> None:
    """Write the model card; it is no part of the bundle's identity."""
    lines = [
        f"# {description.name} {description.version}",
        "",
        NOTICE,
        "",
        f"A {description.architecture} reads one frontal chest X-ray of an adult and gives a "
        "probability and a heat map for each of the 14 findings of ChestX-ray14 "
        "(Wang et al., CVPR 2017; the films are NIH Clinical Center's).",
        "",
        f"**Trained on** {description.training_data}",
        "",
        "**Limits.** Labels were mined from reports by a program and are often wrong. "
        "Probabilities hold where findings are as frequent as in the validation films, Pneumonia "
        "far more than in any hospital. Operating points leave 90 % of the validation films "
        "without a finding unflagged. Nothing was measured on films of another hospital, on "
        "children, on lateral films, or by a radiologist.",
        "",
        f"**Made by** `{description.command}`",
        "",
        *[line for evaluation in evaluations for line in _measured(evaluation)],
    ]
    if not evaluations:
        lines += ["**Measured:** nothing.", ""]
    (folder / CARD).write_text("\n".join(lines))


def _measured(evaluation: Evaluation) -> list[str]:
    return [
        f"## Test split, {evaluation.subset}: {evaluation.films} films, "
        f"{evaluation.patients} patients",
        "",
        "| finding | films | AUC (95 % interval) | sensitivity | specificity |",
        "|---|---:|---:|---:|---:|",
        *[f"| {' | '.join(row)} |" for row in evaluation.rows()],
        "",
    ]


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
        "imports": ["$import safetensors.torch", "$import torch"],
        "bundle_root": ".",
        "device": "$torch.device('cuda' if torch.cuda.is_available() else 'cpu')",
        "network_def": {
            "_target_": "inference.model.FindingNetwork",
            "architecture": hilum.architecture,
            "labels": len(LABELS),
        },
        "preprocessing": {
            "_target_": "inference.preprocessing.Preprocessing",
            "size_px": hilum.size_px,
            "mean": hilum.mean,
            "std": hilum.std,
        },
        "weights": f"$safetensors.torch.load_file(@bundle_root + '/{WEIGHTS.as_posix()}')",
        "initialize": ["$@network_def.load_state_dict(@weights)", "$@network_def.eval()"],
        "network": "$@network_def.to(@device)",
    }


def _write_json(path: Path, value: dict[str, Any]) -> None:
    path.write_text(json.dumps(value, indent=2) + "\n")
