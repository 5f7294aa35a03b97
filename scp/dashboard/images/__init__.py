"""Films, layers and result objects as pictures and files."""
