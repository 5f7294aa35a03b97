"""What has changed since the prior film. Pure."""

from inference.comparison.compare import compare
from inference.comparison.result import Comparison, FindingChange

__all__ = ["Comparison", "FindingChange", "compare"]
