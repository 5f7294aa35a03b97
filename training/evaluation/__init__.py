"""How well findings are discriminated and localised, with uncertainty."""
