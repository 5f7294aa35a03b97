"""Our own certificates: how long they are valid, and whether others can read their keys."""

import stat
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path

from cryptography import x509

from scp.errors import CertificateUnusable

WARN_DAYS = 30


def expires_at(path: str) -> datetime:
    """Return when the first of a PEM file's certificates is no longer valid.

    Raises
    ------
    CertificateUnusable
        The file cannot be read, or holds no certificate.
    """
    try:
        found = x509.load_pem_x509_certificates(Path(path).read_bytes())
    except OSError as error:
        raise CertificateUnusable(f"{path} cannot be read ({error.strerror})") from error
    except ValueError as error:
        raise CertificateUnusable(f"{path} holds no certificate as PEM") from error
    return min(certificate.not_valid_after_utc for certificate in found)


def seconds_left(paths: Mapping[str, str], now: datetime) -> dict[str, float]:
    """Return for each use how long its certificate is valid; without what cannot be read."""
    left = {}
    for used_by, path in paths.items():
        try:
            left[used_by] = (expires_at(path) - now).total_seconds()
        except CertificateUnusable:
            continue
    return left


def validity_text(path: str, now: datetime) -> str:
    """Say how long a certificate is valid. Raises CertificateUnusable where it no longer is."""
    ends = expires_at(path)
    days = (ends - now).days
    if ends <= now:
        raise CertificateUnusable(f"{path} has expired on {ends:%Y-%m-%d}: renew it")
    text = f"certificate valid for {days} days, until {ends:%Y-%m-%d}"
    return f"{text}: renew {path} soon" if days < WARN_DAYS else text


def require_private(key: str) -> None:
    """See that a private key can be read by its owner and group alone. Raises CertificateUnusable.

    The group may be the one that renews it.
    """
    mode = Path(key).stat().st_mode
    if mode & (stat.S_IRWXO | stat.S_IWGRP):
        raise CertificateUnusable(f"others can read or change {key}: chmod 600 {key}")
