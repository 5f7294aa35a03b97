"""A trained network with all that its answer depends on, in MONAI's bundle layout.

``configs/metadata.json`` says what the network is and how its output is to be read (MONAI's keys,
and ours under ``hilum``), ``configs/inference.json`` builds it from MONAI's tools,
``models/model.safetensors`` holds the weights, ``docs/README.md`` is the model card.

A bundle may have parts that another lacks: an input check, lung fields, a heart. Each is a key of
``hilum`` that may be absent, and where it has weights a file of `Hilum.weights`. A part without
weights is a key alone: the SHA-256 of the bundle covers the metadata.

`BundleError`
├── `BundleIncomplete`   a file is missing
├── `BundleMalformed`    a file is there but does not say what it must
├── `OtherLabels`        made for other findings, or another order of them
├── `OtherWeights`       the weights are not those that the metadata was written for
└── `PickledWeights`     weights in a format that runs code when it is loaded

`load_bundle` never evaluates ``inference.json``: a MONAI configuration may hold Python expressions.

References
----------
MONAI Bundle Specification.
"""

import hashlib
from dataclasses import dataclass
from pathlib import Path

from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import nn

from inference.errors import BundleError
from inference.findings import LABELS, ModelIdentity
from inference.model.calibration import OutputCalibration
from inference.model.heart import HeartFinder, RatioReader, heart_network
from inference.model.input_check import CheckNetwork, InputCheck
from inference.model.lung_fields import LungFields, lung_network
from inference.model.metadata import (
    CARD,
    CHECK,
    CONFIG,
    HEART,
    LUNGS,
    METADATA,
    WEIGHTS,
    BundleMalformed,
    Metadata,
    read_metadata,
    require,
)
from inference.model.network import FindingNetwork
from inference.model.preprocessing import Preprocessing

PICKLES = (".pt", ".pth", ".pkl", ".pickle", ".ckpt", ".bin")


class OtherWeights(BundleError):
    """The weights are not those that the metadata was written for."""


class PickledWeights(BundleError):
    """The bundle holds a pickle, which may run any code when it is loaded."""


@dataclass(frozen=True)
class Bundle:
    """A bundle that was checked: its files are there and belong together.

    Attributes
    ----------
    folder
        Where it lies.
    metadata
        What the network is and how it is to be read.
    identity
        What results say of it: name, version, and one SHA-256 over metadata, configuration and
        weights.
    """

    folder: Path
    metadata: Metadata
    identity: ModelIdentity

    @property
    def preprocessing(self) -> Preprocessing:
        """How a film becomes this network's input."""
        hilum = self.metadata.hilum
        return Preprocessing(hilum.size_px, hilum.mean, hilum.std)

    @property
    def calibrations(self) -> tuple[OutputCalibration, ...]:
        """How to read each output, in the order of `FINDINGS`."""
        return tuple(self.metadata.hilum.readings.values())

    def network(self) -> FindingNetwork:
        """Load the network, in float32, ready to infer.

        Raises
        ------
        BundleMalformed
            The weights do not fit the architecture.
        """
        hilum = self.metadata.hilum
        network = FindingNetwork(hilum.architecture, len(LABELS), hilum.pooling)
        self._load(network, WEIGHTS, hilum.architecture)
        return network

    def input_check(self) -> InputCheck | None:
        """Load what says whether a picture looks like a chest film; None when there is none.

        Raises
        ------
        BundleMalformed
            The weights do not fit.
        """
        spec = self.metadata.hilum.input_check
        if spec is None:
            return None
        network = CheckNetwork(spec.size_px)
        self._load(network, CHECK, f"{spec.size_px} px")
        return InputCheck(network, spec)

    def lung_fields(self) -> LungFields | None:
        """Load what finds the lungs of a film; None when there is nothing that does.

        Raises
        ------
        BundleMalformed
            The weights do not fit.
        """
        spec = self.metadata.hilum.lung_fields
        if spec is None:
            return None
        network = lung_network()
        self._load(network, LUNGS, "this version's network")
        return LungFields(network, spec)

    def heart_finder(self) -> HeartFinder | None:
        """Load what finds the heart of a film; None when there is nothing that does.

        Raises
        ------
        BundleMalformed
            The weights do not fit.
        """
        spec = self.metadata.hilum.heart
        if spec is None:
            return None
        network = heart_network()
        self._load(network, HEART, "this version's network")
        return HeartFinder(network, spec.size_px, spec.threshold)

    def ratio_reader(self) -> RatioReader | None:
        """Load what reads the cardiothoracic ratio; None when nothing does, or was measured.

        Raises
        ------
        BundleMalformed
            The weights do not fit.
        """
        spec, finder = self.metadata.hilum.heart, self.heart_finder()
        if spec is None or spec.error is None or finder is None:
            return None
        return RatioReader(finder, spec.error)

    def _load(self, network: nn.Module, name: Path, kind: str) -> None:
        """Put the weights of a file into a network, in float32, and make it ready to infer."""
        try:
            network.load_state_dict(load_file(self.folder / name))  # float16 -> float32
        except (RuntimeError, SafetensorError) as error:
            raise BundleMalformed(f"{self.folder / name} does not fit {kind}: {error}") from error
        network.eval().requires_grad_(False)


def load_bundle(folder: Path) -> Bundle:
    """Check a bundle and return it; the weights are read only to be hashed.

    Raises
    ------
    BundleError
        The folder is no bundle for hilum; the text names the file and the reason.
    """
    _refuse_pickles(folder)
    require(folder, METADATA, CONFIG, WEIGHTS, CARD)
    metadata = read_metadata(folder)
    stated = metadata.hilum.weights
    require(folder, *stated)
    sums = {name: file_sha256(folder / name) for name in (METADATA, CONFIG, *stated)}
    for name, sha256 in stated.items():
        if sums[name] != sha256:
            raise OtherWeights(
                f"{folder / name} has SHA-256 {sums[name]}, its metadata was written for "
                f"{sha256}; copy the whole bundle again"
            )
    listing = "".join(f"{name.as_posix()} {sums[name]}\n" for name in sums)
    sha256 = hashlib.sha256(listing.encode()).hexdigest()
    return Bundle(folder, metadata, ModelIdentity(metadata.name, metadata.version, sha256))


def file_sha256(path: Path) -> str:
    """Return a file's SHA-256 in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _refuse_pickles(folder: Path) -> None:
    for path in sorted(folder.rglob("*")):
        if path.suffix.lower() in PICKLES:
            raise PickledWeights(
                f"{path} is in a format that may run code when loaded; hilum reads safetensors "
                "only: convert it with `hilum export`, and remove it"
            )
