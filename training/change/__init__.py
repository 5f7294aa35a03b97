"""Changes between two films: how far films without change differ, and what is detected."""
