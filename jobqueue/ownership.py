"""Who owns a folder: a lock on the folder itself, which nobody can delete without deleting all of it."""

import errno
import fcntl
import logging
import os
from pathlib import Path

from jobqueue.errors import AlreadyOwned

log = logging.getLogger(__name__)

HELD_BY_ANOTHER = frozenset({errno.EWOULDBLOCK, errno.EACCES})


class Ownership:
    """Held until `release`, or until the process dies: the kernel frees it then."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._descriptor: int | None = None

    def take(self) -> None:
        """Raises: AlreadyOwned; OSError if the folder cannot be opened."""
        if self._descriptor is not None:
            return  # from an attempt to open that failed later on
        descriptor = os.open(self._folder, os.O_RDONLY | os.O_DIRECTORY)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            if error.errno in HELD_BY_ANOTHER:
                os.close(descriptor)
                raise AlreadyOwned(str(self._folder)) from None
            # Some network file systems lock no folders; the lock file is all there is then.
            log.warning("%s cannot be locked: %s", self._folder, error)
        self._descriptor = descriptor

    def release(self) -> None:
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None
