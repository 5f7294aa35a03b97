"""Weights to begin with: ImageNet's, those of torchxrayvision, a file's, or random ones.

`NoWeights` names the file to put in place where a download cannot happen; it is raised before any
training starts.

References
----------
Cohen et al., TorchXRayVision, MIDL 2022: ``resnet50-res512-all`` reads one channel in
[-1024, 1024] and tells 18 labels, 14 of them ChestX-ray14's.
"""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import cast

import torch
from safetensors.torch import load_file
from torchvision.models import DenseNet121_Weights, ResNet50_Weights

from inference.findings import LABELS
from inference.model.metadata import METADATA, read_metadata
from inference.model.network import FindingNetwork
from inference.model.preprocessing import Preprocessing
from inference.settings import Architecture
from training.errors import TrainingError
from training.settings import TrainSettings

Weights = dict[str, torch.Tensor]

IMAGENET = {
    "resnet50": ResNet50_Weights.IMAGENET1K_V2,
    "densenet121": DenseNet121_Weights.IMAGENET1K_V1,
}

XRV_URL = (
    "https://github.com/mlmed/torchxrayvision/releases/download/v1/"
    "pc-nih-rsna-siim-vin-resnet50-test512-e400-state.pt"
)
# in the order of its 18 outputs; torchxrayvision.datasets.default_pathologies
XRV_LABELS = (
    "Atelectasis", "Consolidation", "Infiltration", "Pneumothorax", "Edema", "Emphysema",
    "Fibrosis", "Effusion", "Pneumonia", "Pleural_Thickening", "Cardiomegaly", "Nodule", "Mass",
    "Hernia", "Lung Lesion", "Fracture", "Lung Opacity", "Enlarged Cardiomediastinum",
)  # fmt: skip
XRV_RANGE = 1024  # it reads greys from -1024 to 1024

_IMAGENET_MEAN, _IMAGENET_STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


class NoWeights(TrainingError, RuntimeError):
    """The initial weights are not to be had, or do not fit; the text says what to do."""


def initialise(network: FindingNetwork, settings: TrainSettings) -> str:
    """Put initial weights into a network; the head too where they tell the same findings.

    ``initial`` of the settings is "random" (nothing is done), "imagenet", "torchxrayvision", or a
    file: a run's ``best.pt``, a bundle's ``model.safetensors``.

    Returns
    -------
    str
        What the weights learnt from, to be said on the model card.

    Raises
    ------
    NoWeights
    """
    initial, architecture = settings.initial, settings.architecture
    about = f"the weights of {initial}"
    if initial == "random":
        return "random weights"
    if initial == "imagenet":
        weights = from_imagenet(_download(_imagenet_url(architecture)))
    elif initial == "torchxrayvision":
        if architecture != "resnet50":
            raise NoWeights(f"torchxrayvision's weights are a resnet50's, not a {architecture}'s")
        weights = from_torchxrayvision(_download(XRV_URL))
    else:
        weights, about = from_file(Path(initial))
    _put(network, weights, initial)
    return about


def _imagenet_url(architecture: Architecture) -> str:
    if architecture not in IMAGENET:
        raise NoWeights(f"there are no ImageNet weights for {architecture} here; use a file")
    return cast(str, IMAGENET[architecture].url)


def _download(url: str) -> Weights:
    """Return a state dict from torch's cache, or from the network into it."""
    name = url.rsplit("/", 1)[-1]
    place = Path(torch.hub.get_dir()) / "checkpoints" / name
    try:
        state = torch.hub.load_state_dict_from_url(
            url, map_location="cpu", weights_only=True, progress=False
        )
    except (OSError, RuntimeError) as error:  # URLError is an OSError
        raise NoWeights(
            f"{name} is not here and could not be downloaded from {url} "
            f"({type(error).__name__}); put that file at {place}, or use other initial weights"
        ) from error
    return dict(state)


def from_imagenet(state: Mapping[str, torch.Tensor]) -> Weights:
    """Map a torchvision state dict to ours: one grey channel, its own normalisation folded in.

    Of the first convolution (features, 3, h, w) the three channels see the same grey here, each
    normalised by its own mean and deviation; the sum over channels is exact except for a constant,
    which goes into the first batch normalisation.
    """
    ours = {f"trunk.{_modern(name)}": value for name, value in state.items()}
    ours = {n: v for n, v in ours.items() if not re.search(r"^trunk\.(fc|classifier)\.", n)}
    stem, norm = _stem_names(ours)
    colour = ours[stem]  # (64, 3, 7, 7)
    reads = Preprocessing(1)
    mean, std = (torch.tensor(one)[:, None, None] for one in (_IMAGENET_MEAN, _IMAGENET_STD))
    ours[stem] = (colour * reads.std / std).sum(dim=1, keepdim=True)
    constant = (colour * (reads.mean - mean) / std).sum(dim=(1, 2, 3))
    ours[norm] = ours[norm] - constant
    return ours


def _modern(name: str) -> str:
    """Rename what old DenseNet files call ``norm.1``: torchvision calls it ``norm1``."""
    name = name.removeprefix("features.")
    return re.sub(r"(denselayer\d+\.(?:norm|conv))\.(\d)", r"\1\2", name)


def _stem_names(weights: Mapping[str, torch.Tensor]) -> tuple[str, str]:
    """Return the names of the stem's kernel and of the running mean behind it."""
    if "trunk.conv1.weight" in weights:
        return "trunk.conv1.weight", "trunk.bn1.running_mean"
    return "trunk.conv0.weight", "trunk.norm0.running_mean"


def from_torchxrayvision(state: Mapping[str, torch.Tensor]) -> Weights:
    """Map a torchxrayvision ResNet's state dict to ours: its greys, and the labels we share.

    Its head is (18, 2048); ours is (14, 2048, 1, 1).
    """
    ours = {f"trunk.{name.removeprefix('model.')}": value for name, value in state.items()}
    weight, bias = ours.pop("trunk.fc.weight"), ours.pop("trunk.fc.bias")  # (18, 2048), (18,)
    ours = {n: v for n, v in ours.items() if not n.startswith(("trunk.op_threshs", "trunk.norm"))}
    # its input is 2 * 1024 * (grey - 0.5), ours (grey - mean) / std, with the same mean
    ours["trunk.conv1.weight"] = ours["trunk.conv1.weight"] * 2 * XRV_RANGE * Preprocessing(1).std
    chosen = [XRV_LABELS.index(label) for label in LABELS]
    ours["head.weight"] = weight[chosen][:, :, None, None]
    ours["head.bias"] = bias[chosen]
    return ours


def from_file(path: Path) -> tuple[Weights, str]:
    """Read the weights of a run (``best.pt``) or of a bundle (safetensors), and what they say.

    Raises
    ------
    NoWeights
    """
    try:
        if path.suffix == ".safetensors":
            return dict(load_file(path)), _said_by_bundle(path)
        run = torch.load(path, map_location="cpu", weights_only=True)
        return dict(run["weights"]), run["about"] or f"the weights of {path.name}"
    except FileNotFoundError as error:
        raise NoWeights(
            f"initial weights: {path} is not there (nor is it one of random, imagenet, "
            "torchxrayvision)"
        ) from error
    except Exception as error:  # a foreign file: torch, pickle and zip raise what they like
        raise NoWeights(f"initial weights: {path} cannot be read: {error}") from error


def _said_by_bundle(weights: Path) -> str:
    """Return what a bundle says of its weights; of a file of weights alone its name."""
    folder = weights.parent.parent
    if not (folder / METADATA).is_file():
        return f"the weights of {weights.name}"
    metadata = read_metadata(folder)
    return f"{metadata.name} {metadata.version} ({metadata.hilum.training_data.rstrip('.')})"


def _put(network: FindingNetwork, weights: Weights, initial: str) -> None:
    """Load what fits; a head for other labels stays as it was, a trunk must fit whole."""
    if "head.weight" not in weights or weights["head.weight"].shape != network.head.weight.shape:
        head = {f"head.{name}": value for name, value in network.head.state_dict().items()}
        weights = weights | head
    try:
        network.load_state_dict(weights)
    except RuntimeError as error:
        first = str(error).splitlines()[1].strip() if "\n" in str(error) else str(error)
        raise NoWeights(f"initial weights {initial!r} do not fit the network: {first}") from error
