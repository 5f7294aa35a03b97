"""What a backup holds, and whether it is whole.

::

    hilum-20261129T130500Z/
    ├── manifest.json      when, of which release and database, how much, what was damaged before
    ├── SHA256SUMS         every file but the manifest; `sha256sum --check` reads it too
    ├── database.sqlite    or database.dump, as pg_dump writes it
    ├── config.toml
    └── data/              archive, results, quarantine and audit, as in data_dir
"""

import re
from collections.abc import Callable
from pathlib import Path, PurePosixPath

from pydantic import BaseModel, ConfigDict, ValidationError

from scp.archive import sha256_of
from scp.errors import HilumError

MANIFEST, SUMS, DATA, CONFIG = "manifest.json", "SHA256SUMS", "data", "config.toml"
DATABASES = {"sqlite": "database.sqlite", "postgresql": "database.dump"}
NAME = re.compile(r"hilum-\d{8}T\d{6}Z")
_FORMAT = 1
_LINE = re.compile(r"([0-9a-f]{64})  (.+)")
_NAMED = 5  # of many faults, so many are named in one message


class BackupFailed(HilumError):
    """A backup cannot be taken, or is not whole; the text says why, and what to do."""


class Damaged(BaseModel):
    """A file that was gone or damaged when the backup was taken."""

    model_config = ConfigDict(frozen=True)

    kind: str
    uid: str
    path: str
    fault: str


class Manifest(BaseModel):
    """What a backup says of itself.

    ``database`` is a key of `DATABASES`, ``revision`` that of its tables, ``counts`` the files by
    kind (`scp.index.kept_files`), ``networks`` those that read the films: their bundles are not in
    it.
    """

    model_config = ConfigDict(frozen=True)

    format: int = _FORMAT
    taken_at: str
    release: str
    database: str
    revision: str
    networks: tuple[str, ...]
    counts: dict[str, int]
    size_bytes: int
    damaged: tuple[Damaged, ...]
    sums_sha256: str

    @property
    def database_file(self) -> str:
        """The name of the database's file in the backup."""
        return DATABASES[self.database]


def read_manifest(folder: Path) -> Manifest:
    """Return what a backup says of itself.

    Raises
    ------
    BackupFailed
        The folder is no backup, or one of another release's form.
    """
    try:
        manifest = Manifest.model_validate_json((folder / MANIFEST).read_bytes())
    except FileNotFoundError as error:
        raise BackupFailed(
            f"{folder} is no backup, or one that was broken off: it has no {MANIFEST}"
        ) from error
    except (OSError, ValidationError) as error:
        raise BackupFailed(f"{folder / MANIFEST} cannot be read: use another backup") from error
    if manifest.format != _FORMAT or manifest.database not in DATABASES:
        raise BackupFailed(f"{folder} is of another release: restore it with {manifest.release}")
    return manifest


def read_sums(folder: Path) -> dict[str, str]:
    """Return the SHA-256 of each file of a backup, by its path in it.

    Raises
    ------
    BackupFailed
        The list cannot be read, or names a file outside the backup.
    """
    sums = {}
    try:
        lines = (folder / SUMS).read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise BackupFailed(f"{folder / SUMS} cannot be read: use another backup") from error
    for line in lines:
        found = _LINE.fullmatch(line)
        if found is None or not _is_inside(found[2]):
            raise BackupFailed(f"{folder / SUMS} is damaged: use another backup")
        sums[found[2]] = found[1]
    return sums


def _is_inside(path: str) -> bool:
    parts = PurePosixPath(path).parts
    return bool(parts) and not path.startswith("/") and ".." not in parts


def write_sums(folder: Path, sums: dict[str, str]) -> str:
    """Write the list of hashes, and return its own."""
    path = folder / SUMS
    with path.open("w", encoding="utf-8") as file:
        file.writelines(f"{sha256}  {name}\n" for name, sha256 in sums.items())
    return sha256_of(path)


def check(folder: Path, advance: Callable[[int, int], None]) -> tuple[Manifest, dict[str, str]]:
    """Return a backup's manifest and hashes, once every file was read and is as it was written.

    Parameters
    ----------
    advance
        Is told how many of how many files were read.

    Raises
    ------
    BackupFailed
        A file is gone or changed.
    """
    manifest, sums = read_manifest(folder), read_sums(folder)
    if sha256_of(folder / SUMS) != manifest.sums_sha256 or manifest.database_file not in sums:
        raise BackupFailed(f"{folder / SUMS} is not what was written: use another backup")
    wrong = []
    for number, (name, sha256) in enumerate(sums.items(), start=1):
        try:
            if sha256_of(folder / name) != sha256:
                wrong.append(f"{name} is changed")
        except OSError as error:
            wrong.append(f"{name}: {error.strerror}")
        advance(number, len(sums))
    if wrong:
        rest = f" and {len(wrong) - _NAMED} more" if len(wrong) > _NAMED else ""
        raise BackupFailed(
            f"{folder} is damaged: {', '.join(wrong[:_NAMED])}{rest}. Nothing was restored; use"
            " another backup"
        )
    return manifest, sums
