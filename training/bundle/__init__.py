"""From a trained network to a bundle: export, verdicts, model card."""
