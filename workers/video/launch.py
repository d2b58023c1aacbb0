"""Becomes FFmpeg, after tying itself to the life of the bot; run as a script, never imported.

A script and not `preexec_fn`, which may deadlock in a process with threads; and not `setpriv`,
which not every machine has. It costs some 20 ms per child.
Arguments: process id of the bot, program, arguments of the program.
"""

import contextlib
import ctypes
import os
import signal
import sys
from pathlib import Path

PR_SET_PDEATHSIG = 1
NICENESS = 10


def main(bot_pid: int, command: list[str]) -> None:
    """Never returns: this process is the program from here on."""
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    if os.getppid() != bot_pid:
        sys.exit("the bot died before FFmpeg began")
    os.umask(0o077)
    os.nice(NICENESS)
    # When memory runs out, the kernel should take a render that can be repeated and not the bot.
    with contextlib.suppress(OSError):
        Path("/proc/self/oom_score_adj").write_text("500")
    try:
        os.execv(command[0], command)  # noqa: S606 - without a shell is what we want
    except OSError as error:
        sys.stderr.write(f"{command[0]} cannot be run: {error.strerror}\n")
        sys.exit(127)


if __name__ == "__main__":
    main(int(sys.argv[1]), sys.argv[2:])
