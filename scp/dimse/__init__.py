"""Speaking DICOM on the network: receive, send, find."""
