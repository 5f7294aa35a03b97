"""What hilum remembers of every film."""
