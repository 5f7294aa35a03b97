"""The input check: examples, training, evaluation."""
