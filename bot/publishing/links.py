"""Links to finished files: signed, so that whoever has one needs no key, and good for a week."""

import hashlib
import hmac
from urllib.parse import quote

from jobqueue.clock import Clock

GOOD_FOR_S = 7 * 24 * 3600


class SignedLinks:
    """Signs paths below `/files/` and checks the signatures."""

    def __init__(self, public_url: str | None, clock: Clock, secret: str) -> None:
        """`public_url`: the address links begin with; None: there can be no links."""
        self._public_url = public_url.rstrip("/") if public_url else None
        self._clock = clock
        self._secret = secret.encode()

    def for_file(self, path: str) -> str | None:
        """A link to the file, or None if the endpoint has no public address."""
        if self._public_url is None:
            return None
        expires = str(int(self._clock.now()) + GOOD_FOR_S)
        signature = self._signature(path, expires)
        return f"{self._public_url}/files/{quote(path)}?expires={expires}&signature={signature}"

    def is_good(self, path: str, expires: str, signature: str) -> bool:
        """Whether we signed this and it has not expired."""
        if not (expires.isascii() and expires.isdigit() and len(expires) < 15):
            return False
        is_ours = hmac.compare_digest(
            self._signature(path, expires).encode(), signature.encode(errors="replace")
        )
        return is_ours and int(expires) >= self._clock.now()

    def _signature(self, path: str, expires: str) -> str:
        message = f"file\n{path}\n{expires}".encode(errors="replace")
        return hmac.new(self._secret, message, hashlib.sha256).hexdigest()
