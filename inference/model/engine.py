"""Films from many threads, in batches, on one device.

`EngineError`
├── `EngineClosed`     a film came after `Engine.close`
├── `ReadFailed`       the network gave no number for a film
└── `UnknownDevice`    no such device here
"""

import queue
import threading
from collections.abc import Mapping
from concurrent.futures import Future
from dataclasses import dataclass, field
from types import TracebackType
from typing import Self

import numpy as np
import torch

from inference.errors import EngineClosed, EngineError
from inference.findings import NetworkOutput, Prediction
from inference.image.film import Film
from inference.model.bundle import Bundle
from inference.model.network import calibrated
from inference.model.operating_points import OperatingSettings, operating_points
from inference.settings import ShownMaps


class ReadFailed(EngineError):
    """The network gave no number for a film."""


class UnknownDevice(EngineError, ValueError):
    """The device does not exist on this machine."""


@dataclass(frozen=True, eq=False)
class _Request:
    pixels: torch.Tensor  # (1, size, size), normalised
    answer: Future[NetworkOutput] = field(default_factory=Future)


class Engine:
    """Read films with one network on one device. Close it, or use it in ``with``.

    One thread runs the network. It takes whatever films wait, up to ``batch_size``, and never
    waits for more: alone, a film is read at once; under load, batches fill by themselves.

    A finding whose map is not verified gets an all-zero map, unless ``maps`` is "all"; one that is
    not assessed always does.

    A GPU computes in float16, the processor in float32. (The coarser bfloat16 was measured to move
    probabilities by up to 0.0025, docs/model.md.)

    Parameters
    ----------
    bundle
        The network and how it is to be read.
    device
        "auto" (CUDA where there is one, else the processor), "cpu", "cuda" or "cuda:N".
    batch_size
        Most films in one forward pass.
    thresholds
        Operating points of this site, as probabilities by label, instead of the bundle's.
    prevalences
        How frequent findings are at this site, by label, instead of what the bundle assumes.
    maps
        Which maps are shown: those that were verified, or all.

    Raises
    ------
    UnknownDevice, BadOperatingPoint, BundleMalformed
    """

    def __init__(
        self,
        bundle: Bundle,
        device: str = "auto",
        batch_size: int = 16,
        thresholds: Mapping[str, float] | None = None,
        prevalences: Mapping[str, float] | None = None,
        maps: ShownMaps = "verified",
    ) -> None:
        self.bundle = bundle
        self.device = find_device(device)
        self.settings = OperatingSettings(thresholds or {}, prevalences or {}, maps)
        self.points = operating_points(bundle.calibrations, self.settings)
        self._batch_size = batch_size
        self._network = bundle.network().to(  # type: ignore[call-overload]
            self.device, memory_format=torch.channels_last
        )
        self._requests: queue.SimpleQueue[_Request | None] = queue.SimpleQueue()
        self._closed = False
        self._closing = threading.Lock()
        self._thread = threading.Thread(target=self._serve, name="engine", daemon=True)
        self._thread.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def read(self, film: Film) -> Prediction:
        """Read one film, and apply the site's operating points. Raises as `output` does."""
        return self.points.apply(self.output(film))

    def output(self, film: Film) -> NetworkOutput:
        """Read one film; any thread may call, and waits for its own film only.

        Raises
        ------
        EngineClosed
            `close` was called before.
        ReadFailed
            The film's pixels lead to no number (nan).
        """
        request = _Request(self.bundle.preprocessing(film))
        with self._closing:  # nothing may be put behind the mark that ends the thread
            if self._closed:
                raise EngineClosed("the engine is closed; the film was not read")
            self._requests.put(request)
        return request.answer.result()

    @property
    def waiting(self) -> int:
        """How many films wait for the next forward pass."""
        return self._requests.qsize()

    @property
    def works(self) -> bool:
        """Whether the thread that runs the network is there."""
        return self._thread.is_alive()

    def close(self) -> None:
        """Read the films that wait, then end the thread. A second call does nothing."""
        with self._closing:
            if not self._closed:
                self._closed = True
                self._requests.put(None)
        self._thread.join()

    def _serve(self) -> None:
        """Run batch after batch until the end mark; a batch that fails is its callers' error."""
        open_ = True
        while open_:
            batch, open_ = self._next_batch()
            try:
                answers = self._predict([request.pixels for request in batch])
            except Exception as error:  # the edge of the thread: the next batch may do
                for request in batch:
                    request.answer.set_exception(error)
            else:
                for request, answer in zip(batch, answers, strict=True):
                    _settle(request.answer, answer)

    def _next_batch(self) -> tuple[list[_Request], bool]:
        """Wait for one film, add what else waits; False after the end mark."""
        batch: list[_Request] = []
        while len(batch) < self._batch_size:
            try:
                request = self._requests.get(block=not batch)
            except queue.Empty:
                break
            if request is None:
                return batch, False
            batch.append(request)
        return batch, True

    @torch.inference_mode()
    def _predict(self, films: list[torch.Tensor]) -> list[NetworkOutput]:
        if not films:
            return []
        pixels = torch.stack(films).to(self.device, memory_format=torch.channels_last)
        half = torch.autocast("cuda", torch.float16, enabled=self.device.type == "cuda")
        with half, torch.backends.cudnn.flags(enabled=True, benchmark=False, deterministic=True):
            logits, maps = (output.float().cpu() for output in self._network(pixels))
        log_odds = calibrated(logits, self.bundle.calibrations)  # (b, 14)
        cells = calibrated(maps, self.bundle.calibrations)  # (b, 14, h, w)
        return [
            NetworkOutput(row.numpy(), grid.numpy(), self.bundle.identity)
            for row, grid in zip(log_odds, cells, strict=True)
        ]


def _settle(answer: Future[NetworkOutput], output: NetworkOutput) -> None:
    if np.isfinite(output.log_odds).all():
        answer.set_result(output)
    else:
        # a nan is below every threshold: it would pass for a film without findings
        answer.set_exception(ReadFailed("the network gave nan for a film; are its pixels numbers?"))


def find_device(name: str) -> torch.device:
    """Return the device of that name.

    Raises
    ------
    UnknownDevice
        The name is none of auto, cpu, cuda, cuda:N, or there is no such CUDA device.
    """
    count = torch.cuda.device_count() if torch.cuda.is_available() else 0
    if name == "auto":
        return torch.device("cuda" if count else "cpu")
    if name == "cpu":
        return torch.device("cpu")
    kind, _, number = name.partition(":")
    if kind != "cuda" or (number and not number.isdecimal()) or name.endswith(":"):
        raise UnknownDevice(f"device {name!r} is none of auto, cpu, cuda, cuda:N")
    if int(number or 0) >= count:
        raise UnknownDevice(
            f"device {name!r} is not there: this machine has {count} CUDA devices; "
            'use "auto" or "cpu"'
        )
    return torch.device(name)
