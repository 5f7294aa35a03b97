"""The tables of the index."""
