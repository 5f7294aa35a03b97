"""Passwords: which are good enough, and how they are kept (Argon2id, RFC 9106)."""

import re
import unicodedata

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

from scp.errors import HilumError

MINIMUM = 12
MAXIMUM = 256
# what is left of the most used ones when digits and signs are dropped
_OBVIOUS = {
    "admin", "administrator", "changeme", "dashboard", "hilum", "hospital", "iloveyou", "letmein",
    "operator", "passwort", "password", "qwerty", "qwertyuiop", "qwertz", "qwertzuiop", "radiology",
    "secret", "user", "viewer", "welcome", "xray",
}  # fmt: skip
_HASHER = PasswordHasher()  # RFC 9106, second recommendation: 64 MiB, three passes
NOBODYS = _HASHER.hash("of nobody at all")


class WeakPassword(HilumError):
    """A password would be guessed; the text says what is wrong with it."""


def require_good(password: str, name: str) -> None:
    """Raise `WeakPassword` for one that is short, long, obvious, or the user's name."""
    folded = _plain(password).casefold()
    letters = re.sub(r"[\W\d_]", "", folded)
    halves = {folded[: len(folded) // 2], folded[len(folded) // 2 :]}
    wrong = {
        f"it has fewer than {MINIMUM} characters": len(folded) < MINIMUM,
        f"it has more than {MAXIMUM} characters": len(folded) > MAXIMUM,
        "the user's name is in it": len(name) > 2 and name.casefold() in folded,
        "it has no letters": not letters,
        "it repeats the same characters": len(set(folded)) < 5 or len(halves) == 1,
        "it is one of the most common passwords": letters in _OBVIOUS
        or folded.startswith(("password", "passwort", "qwertyuiop")),
    }
    for reason, holds in wrong.items():
        if holds:
            raise WeakPassword(
                f"this password is not accepted: {reason}. Four random words are good"
            )


def hashed(password: str) -> str:
    """Return what is kept of a password."""
    return _HASHER.hash(_plain(password))


def matches(password: str, password_hash: str | None) -> bool:
    """Say whether a password is the one that was hashed.

    Without a hash (nobody of that name) it is none, after the same work: how long an answer
    takes tells nobody which names exist.
    """
    try:
        right = _HASHER.verify(password_hash or NOBODYS, _plain(password[:MAXIMUM]))
    except (VerificationError, InvalidHashError):
        return False
    return right and password_hash is not None


def _plain(password: str) -> str:
    """Return one form of what different keyboards send for the same characters (NIST 800-63B)."""
    return unicodedata.normalize("NFKC", password)
