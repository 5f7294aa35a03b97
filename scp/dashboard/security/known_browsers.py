"""A browser in which somebody logged in before: what strangers do to a name does not hold it up.

It keeps a token that says so, and no more: nobody logs in by it. The server keeps nothing; a token
is made with the hash of the user's password, and is void when that changes.

References
----------
OWASP, Slow Down Online Guessing Attacks with Device Cookies.
"""

import hashlib
import hmac
import secrets

COOKIE = "hilum-known"
MAX_AGE_S = 400 * 24 * 3600  # as long as browsers keep any
_MOST = 8  # people at one workstation
_NONCE = 16


def known(cookie: str, name: str, password_hash: str) -> str:
    """Return what tells a browser from others in which this user logged in; "" for another."""
    for token in cookie.split(".")[:_MOST]:
        nonce = token[:_NONCE]
        if hmac.compare_digest(token.encode(), _token(nonce, name, password_hash).encode()):
            return nonce
    return ""


def remembered(cookie: str, name: str, password_hash: str) -> str:
    """Return the cookie of a browser in which this user has logged in now."""
    others = [
        token for token in cookie.split(".") if len(token) == len(_token("", "", "")) + _NONCE
    ]
    own = known(cookie, name, password_hash)
    nonce = own or secrets.token_hex(_NONCE // 2)
    tokens = [one for one in others if not own or not one.startswith(own)]
    return ".".join([_token(nonce, name, password_hash), *tokens][:_MOST])


def _token(nonce: str, name: str, password_hash: str) -> str:
    said = f"a browser of\0{name}\0{nonce}".encode()
    return nonce + hmac.new(password_hash.encode(), said, hashlib.sha256).hexdigest()
