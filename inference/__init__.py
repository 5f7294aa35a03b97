"""Films in, findings out. No network, no database, no clock."""
