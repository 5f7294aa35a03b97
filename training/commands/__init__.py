"""The commands of `training`."""
