"""What comes in: a film's header and pixels, read and judged."""
