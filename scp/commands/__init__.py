"""The commands of `hilum`, one file each."""
