"""Changes between two films: what no change looks like, and what is told."""
