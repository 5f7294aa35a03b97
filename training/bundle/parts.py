"""Put what a bundle may have beside its network into a bundle: an input check, lung fields.

A part is a run's file that says how to use it, which becomes a key of ``metadata.hilum``, and its
files of weights. One that is only numbers has no such files, and is put in the same way. A part of
another bundle is put in as it is there.
"""

import json
import shutil
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from pydantic import BaseModel, ValidationError

from inference.comparison.change_null import ChangeNullDistribution
from inference.model.bundle import Bundle, load_bundle
from inference.model.metadata import (
    CHECK,
    HEART,
    LUNGS,
    METADATA,
    CheckSpec,
    HeartSpec,
    LungSpec,
)
from training.errors import TrainingError


class BundleExists(TrainingError, FileExistsError):
    """The folder of the new bundle is taken; a bundle is never overwritten."""


class NoPart(TrainingError, FileNotFoundError):
    """The folder holds no finished run of the command that makes the part, nor a bundle with it."""


@dataclass(frozen=True)
class BundleComponent:
    """What a bundle may have.

    Attributes
    ----------
    key
        In ``metadata.hilum``.
    kind
        Its value.
    spec
        The file of a run that becomes it.
    command
        Of hilum, that makes such a run.
    weights
        Files of a run, and where they go in a bundle.
    """

    key: str
    kind: type[BaseModel]
    spec: str
    command: str
    weights: Mapping[str, Path] = field(default_factory=dict)


CHECK_SPEC, CHECK_WEIGHTS = "input_check.json", "input_check.safetensors"
LUNG_SPEC, LUNG_WEIGHTS = "lung_fields.json", "lung_fields.safetensors"
HEART_SPEC, HEART_WEIGHTS = "heart.json", "heart.safetensors"

INPUT_CHECK = BundleComponent(
    "input_check", CheckSpec, CHECK_SPEC, "train-check", {CHECK_WEIGHTS: CHECK}
)
LUNG_FIELDS = BundleComponent(
    "lung_fields", LungSpec, LUNG_SPEC, "train-lungs", {LUNG_WEIGHTS: LUNGS}
)
HEARTS = BundleComponent("heart", HeartSpec, HEART_SPEC, "train-heart", {HEART_WEIGHTS: HEART})
NULL = BundleComponent("null", ChangeNullDistribution, "null.json", "measure-null")


def add_part(bundle: Bundle, part: BundleComponent, origin: Path) -> Bundle:
    """Put a part of a run, or of another bundle, into a bundle; return the bundle read again.

    Its identity becomes another: a part is some of what a bundle answers.

    Raises
    ------
    NoPart
        ``origin`` holds no finished one.
    """
    spec = read_spec(part, origin)
    metadata = json.loads((bundle.folder / METADATA).read_text())
    metadata["hilum"][part.key] = spec.model_dump(mode="json")
    for file, place in _weights(part, origin).items():
        shutil.copyfile(file, bundle.folder / place)
    (bundle.folder / METADATA).write_text(json.dumps(metadata, indent=2) + "\n")
    return load_bundle(bundle.folder)


def with_part(
    bundle: Bundle, part: BundleComponent, origin: Path, out: Path, version: str | None = None
) -> Bundle:
    """Copy a bundle to ``out``, and put a part of a run, or of another bundle, into the copy.

    Parameters
    ----------
    version
        Of the copy; that of the old one when None.

    Raises
    ------
    NoPart, BundleExists
    """
    read_spec(part, origin)
    if out.exists():
        raise BundleExists(f"{out} exists; write into a new folder")
    shutil.copytree(bundle.folder, out)
    if version is not None:
        renumber(out, version, f"hilum {part.command}")
    return add_part(load_bundle(out), part, origin)


def renumber(folder: Path, version: str, what: str) -> None:
    """Give a bundle's folder another version, and say in its log what was done."""
    metadata = json.loads((folder / METADATA).read_text())
    log = metadata.setdefault("changelog", {})
    before = log.get(version, metadata["version"])  # two parts may come under one number
    metadata["version"], log[version] = version, f"{before} && {what}"
    (folder / METADATA).write_text(json.dumps(metadata, indent=2) + "\n")


def read_spec(part: BundleComponent, origin: Path) -> BaseModel:
    """Read how to use the part of a run, or of a bundle, and see that its weights are there.

    Raises
    ------
    NoPart, BundleError
    """
    if _is_bundle(origin):
        return _spec_of_bundle(part, origin)
    for name in (part.spec, *part.weights):
        if not (origin / name).is_file():
            raise NoPart(f"{origin} holds no {name}; let `hilum {part.command}` finish")
    try:
        return part.kind.model_validate_json((origin / part.spec).read_bytes())
    except ValidationError as error:
        raise NoPart(f"{origin / part.spec}: {error.errors()[0]['msg']}") from error


def _spec_of_bundle(part: BundleComponent, folder: Path) -> BaseModel:
    spec: BaseModel | None = getattr(load_bundle(folder).metadata.hilum, part.key)
    if spec is None:
        raise NoPart(f"the bundle {folder} has no {part.key.replace('_', ' ')}")
    return spec


def _is_bundle(folder: Path) -> bool:
    return (folder / METADATA).is_file()


def _weights(part: BundleComponent, origin: Path) -> dict[Path, Path]:
    """Return the files of weights of a part, and where each goes in a bundle."""
    return {
        origin / (place if _is_bundle(origin) else name): place
        for name, place in part.weights.items()
    }
