"""`hilum train-heart`: a segmenter of lungs and heart, and the error of the ratio it leads to."""

import json
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import nn

from inference.model.bundle import file_sha256
from inference.model.heart import HeartFinder, heart_network
from inference.model.metadata import HeartSpec
from training.bundle.parts import HEART_SPEC, HEART_WEIGHTS, HEARTS, read_spec
from training.bundle.rounding import rounded, store
from training.heart.evaluate import ratio_error, ratios_of
from training.heart.examples import heart_files, read_heart
from training.loop import BEST, fit
from training.lungs.masks import BadMasks, masked_files, small_films
from training.lungs.train import SPARE, THRESHOLD, task
from training.settings import HeartSettings


def train_heart(hearts: Path, lungs: Path | None, out: Path, settings: HeartSettings) -> Path:
    """Train, or go on with, the segmenter in ``out``; return the file that says how to use it.

    Parameters
    ----------
    hearts
        Folder of films on which lungs and heart are outlined; the error is measured on those of
        them that neither taught nor chose the epoch.
    lungs
        Folder of films on which only lungs are: they teach and judge the lungs alone.

    Raises
    ------
    BadMasks, BadFilmList, OtherRun
    """
    files, side_px = heart_files(hearts), round(settings.size_px * SPARE)
    seen, held = (small_films(files, split, side_px, read_heart) for split in ("train", "val"))
    if lungs is not None:
        others = masked_files(lungs)
        seen += small_films(others, "train", side_px)
        held += small_films(others, "val", side_px)
    torch.manual_seed(settings.seed)
    network = _initial(settings)
    fit(task(network, seen, held, settings, organs=2), settings, out)
    best = torch.load(out / BEST, map_location="cpu", weights_only=True)
    network.load_state_dict(best["weights"])
    network.cpu().load_state_dict(rounded(network))
    store(network, out / HEART_WEIGHTS)
    return _write_spec(network, settings.size_px, hearts, out)


def _initial(settings: HeartSettings) -> nn.Module:
    """Make the network, with the weights of a lung segmenter wherever their shapes agree."""
    network = heart_network()
    if settings.initial == "random":
        return network
    try:
        weights = load_file(settings.initial)
    except (OSError, SafetensorError) as error:
        raise BadMasks(f"initial weights {settings.initial}: {error}") from error
    own = network.state_dict()
    fitting = {k: v for k, v in weights.items() if k in own and v.shape == own[k].shape}
    network.load_state_dict(own | fitting)
    return network


def _write_spec(network: nn.Module, size_px: int, hearts: Path, out: Path) -> Path:
    """Measure the ratio on the films that neither taught nor chose, and write how to use it."""
    network.eval().requires_grad_(False)
    films = [read_heart(one) for one in heart_files(hearts) if one.split == "test"]
    spec = HeartSpec(
        size_px=size_px,
        threshold=THRESHOLD,
        error=ratio_error(ratios_of(HeartFinder(network, size_px, THRESHOLD), films)),
        sha256=file_sha256(out / HEART_WEIGHTS),
    )
    (out / HEART_SPEC).write_text(json.dumps(spec.model_dump(mode="json"), indent=2) + "\n")
    return out / HEART_SPEC


def heart_of(run: Path) -> HeartFinder:
    """Load the segmenter that a finished run made.

    Raises
    ------
    NoPart
    """
    spec = HeartSpec.model_validate(read_spec(HEARTS, run).model_dump())
    network = heart_network()
    network.load_state_dict(load_file(run / HEART_WEIGHTS))
    return HeartFinder(network.eval().requires_grad_(False), spec.size_px, spec.threshold)
