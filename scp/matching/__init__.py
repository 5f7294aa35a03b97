"""Which films belong together: one person, one film, one prior. Pure."""
