"""How long to wait before another attempt: exponential back-off, in one place."""

import math

_MOST_DOUBLINGS = 30  # no overflow after weeks


def backoff_s(first_s: float, attempts: int, longest_s: float = math.inf) -> float:
    """Return the seconds to wait after so many failed attempts, at least one.

    The first wait is ``first_s``, each further one twice as long, none over ``longest_s``.
    """
    return min(longest_s, first_s * 2.0 ** min(attempts - 1, _MOST_DOUBLINGS))
