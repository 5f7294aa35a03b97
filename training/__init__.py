"""From labelled films to a bundle that `inference` loads."""
