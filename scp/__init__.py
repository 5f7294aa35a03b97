"""The service: all that touches network, disk, database or clock."""

import pydicom.config

# a misspelt keyword would otherwise be a warning, and the element silently lost
pydicom.config.INVALID_KEYWORD_BEHAVIOR = "RAISE"
