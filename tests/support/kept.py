"""Put a result where the archive keeps it, as an answer does."""


def keep_result(archive, data, study_uid, sop_uid):
    """Write an object's bytes under its name; return how it is stored."""
    part = archive.incoming / f"{sop_uid}.part"
    part.write_bytes(data)
    stored = archive.result(data, study_uid, sop_uid)
    archive.keep_result(part, stored)
    return stored
