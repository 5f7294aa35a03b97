"""The service: all that touches network, disk, database or clock."""
