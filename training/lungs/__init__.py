"""The lung segmenter: examples, training, evaluation."""
