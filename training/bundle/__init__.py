"""From a trained network to a bundle: export, judgement, model card."""
