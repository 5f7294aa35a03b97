"""The settings of the service, one file a group; below everything else."""
