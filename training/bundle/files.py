"""A bundle's files: weights, metadata with MONAI's keys and hilum's, configuration, card."""

import importlib.metadata
import json
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from inference.findings import LABELS
from inference.model.bundle import Bundle, file_sha256, load_bundle
from inference.model.calibration import OutputCalibration
from inference.model.metadata import CARD, CONFIG, METADATA, WEIGHTS, Hilum
from inference.model.network import FindingNetwork
from inference.model.preprocessing import Preprocessing
from training.bundle.model_card import NOTICE, Description, write_card
from training.bundle.parts import BundleExists
from training.bundle.rounding import store


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


def with_weights(bundle: Bundle, network: FindingNetwork, folder: Path) -> Bundle:
    """Copy a bundle to ``folder``, which must not exist, with another network's weights."""
    shutil.copytree(bundle.folder, folder)
    store(network, folder / WEIGHTS)
    metadata = json.loads((folder / METADATA).read_text())
    metadata["hilum"]["weights_sha256"] = file_sha256(folder / WEIGHTS)
    _write_json(folder / METADATA, metadata)
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
        "copyright": description.terms,
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
