"""Labelled films: lists, pictures, augmentation."""
