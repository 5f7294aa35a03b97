"""The network that tells the findings apart: examples, training, search."""
