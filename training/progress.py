"""What a person sees of a run: a bar with the time left, a line per epoch, TensorBoard."""

import sys
from pathlib import Path
from types import TracebackType
from typing import Self

import ignite.distributed as idist
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from torch.utils.tensorboard import SummaryWriter

console = Console(stderr=True)


class RunProgress:
    """Show a run's progress, of the first process only. Use it in ``with``.

    Parameters
    ----------
    out
        Folder of the run; TensorBoard's events go to its ``events``.
    epochs
        How many there will be at most.
    begun
        How many are done.
    """

    def __init__(self, out: Path, epochs: int, begun: int) -> None:
        first = idist.get_rank() == 0
        self._bar = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            TimeElapsedColumn(),
            TextColumn("left:"),
            TimeRemainingColumn(elapsed_when_finished=False),
            console=console,
            disable=not (first and sys.stderr.isatty()),
        )
        self._task = self._bar.add_task("epoch 1", total=epochs, completed=begun)
        self._events = SummaryWriter(out / "events", purge_step=begun + 1) if first else None

    def __enter__(self) -> Self:
        self._bar.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._bar.stop()
        if self._events is not None:
            self._events.close()

    def step(self, epochs: float) -> None:
        """Say how many epochs are done; a part of one counts."""
        self._bar.update(self._task, completed=epochs, description=f"epoch {int(epochs) + 1}")

    def epoch(self, entry: dict[str, float], best: float) -> None:
        """Say what an epoch led to."""
        if self._events is None:
            return
        number = int(entry["epoch"])
        for name in ("loss", "score", "learning_rate"):
            self._events.add_scalar(name, entry[name], number)
        mark = "*" if entry["score"] >= best else ""
        console.log(f"epoch {number}: loss {entry['loss']:.4f}, val {entry['score']:.4f}", mark)
