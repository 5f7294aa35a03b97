"""What has changed since the prior film. Pure. Light: `compare` itself is in its module."""

from inference.comparison.result import Comparison, FindingChange

__all__ = ["Comparison", "FindingChange"]
