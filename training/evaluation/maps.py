"""A network's maps of films with boxes: the maps that hilum shows, others, and those of no network.

`VARIANTS` are kept to measure, not to show: `hilum localise --variants` prints what each reaches.
Of those that take one forward pass without gradients, none has measured better than the plain
class activation map.

References
----------
Zhou et al., Learning Deep Features for Discriminative Localization, CVPR 2016.
Jiang et al., LayerCAM, IEEE TIP 2021.
Adebayo et al., Sanity Checks for Saliency Maps, NeurIPS 2018.
"""

from collections.abc import Callable, Sequence
from copy import deepcopy

import numpy as np
import torch
from torch import nn
from torch.nn.functional import avg_pool2d, interpolate, pad

from inference.findings import LABELS, FloatArray
from inference.model.engine import find_device
from inference.model.network import FindingNetwork
from inference.model.preprocessing import Preprocessing
from training.data.boxes import BadBoxList, Box
from training.data.film_set import read_picture
from training.data.record import Record
from training.evaluation.localisation import Score, score
from training.evaluation.statistics import Doubles

Variant = Callable[[FindingNetwork, torch.Tensor], torch.Tensor]  # films -> (b, labels, h, w)

BATCH = 16  # films in one forward pass

HELD_OUT, SEEN = "films not trained on (val and test)", "films trained on (train)"


def last(network: FindingNetwork, films: torch.Tensor) -> torch.Tensor:
    """Return the class activation maps of the last stage, as `Engine` does.

    Films are (b, 1, size, size), maps (b, labels, h, w): of this variant and of the others.
    """
    maps: torch.Tensor = network(films)[1]
    return maps


def flipped(network: FindingNetwork, films: torch.Tensor) -> torch.Tensor:
    """Return the mean of the maps (b, labels, h, w) and those of the mirrored films: two passes."""
    return (last(network, films) + last(network, films.flip(-1)).flip(-1)) / 2


def smoothed(network: FindingNetwork, films: torch.Tensor) -> torch.Tensor:
    """Return maps (b, labels, h, w), each cell the mean of itself and its eight neighbours."""
    return avg_pool2d(pad(last(network, films), (1, 1, 1, 1), mode="replicate"), 3, stride=1)


def layercam_last(network: FindingNetwork, films: torch.Tensor) -> torch.Tensor:
    """Return LayerCAM of the last stage, (b, labels, h, w), where the logit is the plain mean.

    Only the mean and a linear head follow, so each gradient is a weight of the head divided by the
    number of cells: what is left is the map with the positive weights alone (Jiang et al., IEEE
    Trans. Image Processing 30, 2021).
    """
    weights = network.head.weight[:, :, 0, 0].clamp(min=0)  # (labels, features)
    return torch.einsum("kf,bfhw->bkhw", weights, network.trunk(films))


def layercam_third(network: FindingNetwork, films: torch.Tensor) -> torch.Tensor:
    """Return LayerCAM of the third stage, (b, labels, h, w): one backward pass per finding.

    A reference, too slow for a service.
    """
    before, after = _halves(network)
    with torch.enable_grad():
        features = before(films).detach().requires_grad_()
        logits = network.pooled(network.head(after(features)))  # (b, labels)
        maps = [
            (torch.autograd.grad(logits[:, k].sum(), features, retain_graph=True)[0].clamp(min=0))
            .mul(features)
            .sum(dim=1)
            .clamp(min=0)
            for k in range(logits.shape[1])
        ]
    return torch.stack(maps, dim=1).detach()


def gated(network: FindingNetwork, films: torch.Tensor) -> torch.Tensor:
    """Return the maps times the activity of the third stage, (b, labels, h, w): no gradient."""
    before, after = _halves(network)
    features = before(films)
    activity = _unit(features.mean(dim=1, keepdim=True))  # (b, 1, h, w)
    maps = _unit(network.head(after(features)))
    return interpolate(maps, activity.shape[-2:], mode="bilinear") * activity


VARIANTS: dict[str, Variant] = {
    "last": last,
    "flipped (2 passes)": flipped,
    "smoothed": smoothed,
    "LayerCAM, last stage": layercam_last,
    "LayerCAM, third stage (gradients)": layercam_third,
    "gated by third stage": gated,
}


def _halves(network: FindingNetwork) -> tuple[nn.Sequential, nn.Sequential]:
    """Split the trunk behind its third stage."""
    names = [name for name, _ in network.trunk.named_children()]
    cut = 1 + next(k for k, name in enumerate(names) if name in ("layer3", "transition3"))
    return network.trunk[:cut], network.trunk[cut:]


def _unit(maps: torch.Tensor) -> torch.Tensor:
    low, high = maps.amin(dim=(2, 3), keepdim=True), maps.amax(dim=(2, 3), keepdim=True)
    return (maps - low) / (high - low).clamp(min=torch.finfo(maps.dtype).tiny)


def shuffled(network: FindingNetwork, seed: int = 0) -> FindingNetwork:
    """Return the same network, its numbers shuffled within each tensor: it has learnt nothing.

    Shuffled rather than drawn anew, so that activations keep their size.
    """
    generator = torch.Generator().manual_seed(seed)
    other = deepcopy(network)
    weights = {
        name: value.flatten()[torch.randperm(value.numel(), generator=generator)].view_as(value)
        for name, value in network.state_dict().items()
    }
    other.load_state_dict(weights)
    return other


@torch.no_grad()
def film_maps(
    network: FindingNetwork,
    preprocessing: Preprocessing,
    records: Sequence[Record],
    variant: Variant = last,
    device: str = "cpu",
) -> dict[str, FloatArray]:
    """Return the maps (14, h, w) of films by name; not scaled."""
    where = find_device(device)
    ready = network.to(where).eval()
    maps: dict[str, FloatArray] = {}
    for start in range(0, len(records), BATCH):
        batch = records[start : start + BATCH]
        films = torch.stack([preprocessing(read_picture(record.path)) for record in batch])
        found = variant(ready, films.to(where, memory_format=torch.channels_last))
        grids = found.float().cpu().numpy()
        maps |= {record.name: grid for record, grid in zip(batch, grids, strict=True)}
    return maps


def film_outputs(
    network: FindingNetwork,
    preprocessing: Preprocessing,
    records: Sequence[Record],
    device: str = "cpu",
) -> tuple[dict[str, FloatArray], Doubles]:
    """Return the maps (14, h, w) of films by name, not scaled, and their logits (films, 14)."""
    maps = film_maps(network, preprocessing, records, device=device)
    grids = torch.from_numpy(np.stack([maps[record.name] for record in records]))
    return maps, network.pooled(grids).double().numpy()


def score_boxes(
    network: FindingNetwork,
    preprocessing: Preprocessing,
    records: Sequence[Record],
    boxes: Sequence[Box],
    variant: Variant = last,
    device: str = "cpu",
) -> dict[str, list[Score]]:
    """Measure every box on a film of the list; those trained on apart, for the network knows them.

    Raises
    ------
    BadBoxList
        No box is on a film of the list.
    """
    named = {box.film for box in boxes}
    boxed = {record.name: record for record in records if record.name in named}
    if not boxed:
        raise BadBoxList("no box is on a film of the list")
    maps = film_maps(network, preprocessing, list(boxed.values()), variant, device)
    scores: dict[str, list[Score]] = {HELD_OUT: [], SEEN: []}
    for seed, box in enumerate(boxes):
        if box.film in boxed:
            group = SEEN if boxed[box.film].split == "train" else HELD_OUT
            grid = maps[box.film][LABELS.index(box.label)]
            scores[group].append(score(grid, box, boxes, seed))
    return {group: some for group, some in scores.items() if some}
