"""How well findings are told apart and localised, with uncertainty."""
