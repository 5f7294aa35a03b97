"""The time by which a remote AE must have answered everything that hilum asks of it."""

from collections.abc import Callable
from time import monotonic

from scp.config.priors import Remote
from scp.errors import DeadlinePassed

GRACE_S = 0.5  # seconds that a peer has to end in good order


class Deadline:
    """A moment by which several operations together must have ended."""

    def __init__(self, seconds: float, clock: Callable[[], float] = monotonic) -> None:
        self.seconds = seconds
        self._clock = clock
        self._at = clock() + seconds

    @property
    def remaining_s(self) -> float:
        """Seconds left; never negative."""
        return max(0.0, self._at - self._clock())

    @property
    def passed(self) -> bool:
        """Whether nothing is left."""
        return self.remaining_s == 0

    @property
    def grace_s(self) -> float:
        """Seconds before the deadline at which an operation is cancelled."""
        return min(GRACE_S, self.seconds / 10)

    def require(self, remote: Remote) -> None:
        """Raise `DeadlinePassed` when nothing is left."""
        if self.passed:
            raise too_late(remote, self)


def too_late(remote: Remote, deadline: Deadline) -> DeadlinePassed:
    """Return the error that tells of a deadline."""
    return DeadlinePassed(
        f"{remote} was not done within {deadline.seconds:g} s ([priors] timeout_s)"
    )
