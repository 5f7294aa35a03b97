"""Caches: what is made once for several readers."""
