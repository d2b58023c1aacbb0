"""How many files and connections the process may have open at once."""

import contextlib
import resource

WANTED = 8192
"""Enough for every connection we would serve; some systems offer a billion, which makes others slow."""
CONNECTIONS_MAX = 2000
FOR_FILES = 200
"""Left free for the queue's own files, FFmpeg's pipes, the chat."""


def raise_limit() -> None:
    """Raise the soft limit, which is often 1024, as far as the hard one allows and is of use."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = WANTED if hard == resource.RLIM_INFINITY else min(hard, WANTED)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        with contextlib.suppress(OSError, ValueError):  # then there are fewer connections
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


def connections_max() -> int:
    """How many connections leave enough descriptors for everything else."""
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft == resource.RLIM_INFINITY:
        return CONNECTIONS_MAX
    return min(CONNECTIONS_MAX, max(soft - FOR_FILES, soft // 2))
