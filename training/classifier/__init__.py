"""The network of findings: examples, training, evaluation, search."""
