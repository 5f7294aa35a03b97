"""What was found, as DICOM objects. Pure: no network, no database, no clock."""
