"""The network with all that its answer depends on: bundle, engine, calibration."""
