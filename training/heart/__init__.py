"""The heart's segmenter, for the cardiothoracic ratio: examples, training, evaluation."""
