"""The life of a film: taken in, read, answered, delivered."""
