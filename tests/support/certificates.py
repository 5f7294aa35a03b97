"""A certification authority for tests, and certificates good and bad."""

import ipaddress
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

_DAY = timedelta(days=1)
_CLIENT = ExtendedKeyUsageOID.CLIENT_AUTH
_SERVER = ExtendedKeyUsageOID.SERVER_AUTH
BOTH = (_SERVER, _CLIENT)
SERVER_ONLY = (_SERVER,)
CLIENT_ONLY = (_CLIENT,)


@dataclass(frozen=True)
class Files:
    """Where a certificate and its private key are."""

    certificate: Path
    key: Path


class Authority:
    """Signs certificates; its own is ``ca``, a PEM file in the folder."""

    def __init__(self, folder: Path, name: str = "Hospital CA") -> None:
        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True)
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = _name(name)
        self._number = 0
        builder = _builder(self._name, self._name, self._key, now(), now() + 3650 * _DAY)
        own = builder.add_extension(x509.BasicConstraints(True, None), True).sign(
            self._key, SHA256()
        )
        self.ca = folder / "ca.pem"
        self.ca.write_bytes(own.public_bytes(Encoding.PEM))

    def issue(
        self,
        name: str = "hilum",
        *,
        hosts: Sequence[str] = ("127.0.0.1", "localhost"),
        begins: datetime | None = None,
        ends: datetime | None = None,
        usage: Sequence[x509.ObjectIdentifier] = BOTH,
    ) -> Files:
        """Make a key and a certificate for a common name and for hosts; valid for 90 days."""
        self._number += 1
        key = ec.generate_private_key(ec.SECP256R1())
        begins, ends = begins or now() - _DAY, ends or now() + 90 * _DAY
        builder = _builder(_name(name), self._name, key, begins, ends)
        builder = builder.add_extension(x509.ExtendedKeyUsage(list(usage)), False)
        if hosts:
            names = x509.SubjectAlternativeName([_general(host) for host in hosts])
            builder = builder.add_extension(names, False)
        certificate = builder.sign(self._key, SHA256())
        files = Files(
            self.folder / f"{self._number}.crt.pem", self.folder / f"{self._number}.key.pem"
        )
        files.certificate.write_bytes(certificate.public_bytes(Encoding.PEM))
        files.key.touch(0o600)
        files.key.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
        return files

    def locked(self, key: Path) -> Path:
        """Write a copy of a key that has a password."""
        path = key.with_suffix(".locked")
        how = (Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(b"secret"))
        path.write_bytes(load_pem_private_key(key.read_bytes(), None).private_bytes(*how))
        return path

    def expired(self, name: str = "hilum", **more: object) -> Files:
        """Make a certificate that ended yesterday."""
        return self.issue(name, begins=now() - 30 * _DAY, ends=now() - _DAY, **more)

    def not_yet_valid(self, name: str = "hilum", **more: object) -> Files:
        """Make a certificate that begins tomorrow."""
        return self.issue(name, begins=now() + _DAY, ends=now() + 30 * _DAY, **more)


def now() -> datetime:
    """Return the time, as certificates are checked by it."""
    return datetime.now(UTC)


def _name(common_name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common_name)])


def _general(host: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(host))
    except ValueError:
        return x509.DNSName(host)


def _builder(
    subject: x509.Name,
    issuer: x509.Name,
    key: ec.EllipticCurvePrivateKey,
    begins: datetime,
    ends: datetime,
) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(begins)
        .not_valid_after(ends)
    )
