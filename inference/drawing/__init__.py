"""Findings and comparisons as pictures."""
