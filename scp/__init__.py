"""The service: all that touches network, disk, database or clock."""

from pydicom import config

# a misspelt keyword would otherwise be a warning, and the element silently lost
config.INVALID_KEYWORD_BEHAVIOR = "RAISE"
# its warnings quote what they complain of, and that may be a name or a birth date
config.settings.reading_validation_mode = config.IGNORE
