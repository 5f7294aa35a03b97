"""Put a trained input check into a bundle."""

import json
import shutil
from pathlib import Path

from inference.bundle import CHECK, METADATA, Bundle, load_bundle
from inference.input_check import CheckSpec
from training.input_check import CHECK_SPEC, CHECK_WEIGHTS, NoCheck


def add_input_check(bundle: Bundle, run: Path) -> Bundle:
    """Put the check of a run of `hilum train-check` into a bundle, in place; return it anew.

    Its identity becomes another: what it lets through is part of what it answers.

    Raises
    ------
    NoCheck
        ``run`` holds no finished check.
    """
    for name in (CHECK_SPEC, CHECK_WEIGHTS):
        if not (run / name).is_file():
            raise NoCheck(f"{run} holds no {name}; let `hilum train-check` finish")
    spec = CheckSpec.model_validate_json((run / CHECK_SPEC).read_bytes())
    metadata = json.loads((bundle.folder / METADATA).read_text())
    metadata["hilum"]["input_check"] = spec.model_dump(mode="json")
    shutil.copyfile(run / CHECK_WEIGHTS, bundle.folder / CHECK)
    (bundle.folder / METADATA).write_text(json.dumps(metadata, indent=2) + "\n")
    return load_bundle(bundle.folder)
