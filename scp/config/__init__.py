"""The settings of the service, one file per group; below everything else."""
