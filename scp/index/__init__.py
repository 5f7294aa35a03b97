"""The index: what hilum knows of every film."""
