"""The pages, one file each, and what their templates need."""
