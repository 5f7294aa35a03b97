"""What a picture looks like: an upright frontal chest film of the right polarity, or not.

A header may be silent or untrue; the picture is not. A small network looks at it before the one
that reads findings, which has only ever seen upright frontal films and would answer anything.
"""

from dataclasses import dataclass

import torch
from torch import nn

from inference.image.film import Film
from inference.image.gate import Reason, Refusal
from inference.model.metadata import LOOKS, CheckSpec, Look
from inference.model.preprocessing import Preprocessing

MIRRORED = "looks mirrored left to right: situs inversus, or a film stored the wrong way round"


class CheckNetwork(nn.Module):
    """A small convolutional network: one output per look, and one for mirrored.

    Five halvings of the grid leave a coarse map that is not pooled: where things lie is what is
    asked. 64 px in: 0.16 million weights, and 2 ms a film on one core.

    Parameters
    ----------
    size_px
        Side of the input, a multiple of 16.
    """

    def __init__(self, size_px: int = 64) -> None:
        super().__init__()
        steps = ((1, 16, 2), (16, 32, 2), (32, 32, 1), (32, 64, 2), (64, 64, 1), (64, 96, 2))
        layers = [layer for step in steps for layer in _convolution(*step)]
        self.trunk = nn.Sequential(*layers)
        grid = size_px // 16
        self.head = nn.Sequential(nn.Dropout(0.2), nn.Linear(96 * grid**2, len(LOOKS) + 1))

    def forward(self, films: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Return logits of the looks (b, looks) and of mirrored (b,).

        Parameters
        ----------
        films
            (b, 1, size, size), normalised by `Preprocessing`.
        """
        outputs = self.head(self.trunk(films).flatten(1))  # (b, looks + 1)
        return outputs[:, :-1], outputs[:, -1]


def _convolution(before: int, after: int, stride: int) -> tuple[nn.Module, ...]:
    convolution = nn.Conv2d(before, after, 3, stride, padding=1, bias=False)
    return convolution, nn.BatchNorm2d(after), nn.ReLU(inplace=True)


@dataclass(frozen=True)
class Appearance:
    """What one film looks like.

    Attributes
    ----------
    look
        The likeliest look; where the film is refused, the likeliest of the others than UPRIGHT.
    upright
        Probability in [0, 1] of an upright frontal film of the right polarity.
    mirrored
        Whether left and right look exchanged. Says nothing of a film that is refused.
    """

    look: Look
    upright: float
    mirrored: bool

    @property
    def refusal(self) -> Refusal | None:
        """Why the film may not be read; None lets it pass."""
        return None if self.look is Look.UPRIGHT else Refusal(*_REFUSALS[self.look])


_TURNED = "The film looks turned by 90 degrees: the head points to the"
_REFUSALS = {
    Look.HEAD_RIGHT: (Reason.NOT_UPRIGHT, f"{_TURNED} right."),
    Look.HEAD_LEFT: (Reason.NOT_UPRIGHT, f"{_TURNED} left."),
    Look.UPSIDE_DOWN: (Reason.NOT_UPRIGHT, "The film looks upside down."),
    Look.INVERTED: (
        Reason.POLARITY_INVERTED,
        "The film looks inverted: black and white are exchanged.",
    ),
    Look.NOT_FRONTAL_CHEST: (
        Reason.NOT_A_FRONTAL_CHEST,
        "The picture does not look like a whole frontal chest film.",
    ),
}


class InputCheck:
    """Says what films look like. Safe from many threads.

    Parameters
    ----------
    network
        Ready to infer, on the processor: one film takes less time than the way to a GPU.
    spec
        Its input and operating points.
    """

    def __init__(self, network: CheckNetwork, spec: CheckSpec) -> None:
        self.spec = spec
        self._network = network
        self._preprocessing = Preprocessing(spec.size_px)

    @torch.inference_mode()
    def look(self, film: Film) -> Appearance:
        """Look at one film."""
        looks, mirrored = self._network(self._preprocessing(film)[None])
        return appearance(looks[0], mirrored[0], self.spec)


def appearance(looks: torch.Tensor, mirrored: torch.Tensor, spec: CheckSpec) -> Appearance:
    """Decide by the logits of one film's looks (looks,) and of mirrored ()."""
    probabilities = looks.softmax(0)
    upright = float(probabilities[0])
    # a nan is no reason to pass
    look = Look.UPRIGHT if upright >= spec.upright else LOOKS[1 + int(probabilities[1:].argmax())]
    return Appearance(look, upright, bool(mirrored.sigmoid() >= spec.mirrored))
