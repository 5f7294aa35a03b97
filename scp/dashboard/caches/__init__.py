"""What is made once and kept a while for the next reader."""
