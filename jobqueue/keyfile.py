"""Secrets that are made at the first start and kept in a file only we can read."""

import secrets
from pathlib import Path

from jobqueue import durable
from jobqueue.errors import QueueUnwritable


def kept_secret(path: Path, tmp: Path) -> str:
    """The secret in the file; a new one of 256 bits if there is none yet. Blocking.

    Raises: QueueUnwritable if the file holds something else.
    """
    try:
        secret = path.read_text(encoding="ascii").strip()
    except FileNotFoundError:
        secret = ""
    except UnicodeDecodeError:
        raise QueueUnwritable(f"{path.name} holds no key: delete it, and a new one is made") from None
    if not secret:
        secret = secrets.token_urlsafe(32)
        durable.replace(tmp, path, secret.encode() + b"\n")
    return secret
