"""A file system in a file, whose power can be cut at any instant. Needs root and a loop device."""

import fcntl
import os
import shutil
import struct
import subprocess
import tempfile
import time
from pathlib import Path
from types import TracebackType
from typing import Self

SIZE = "256M"
COMMIT_S = 1
"""How often ext4 commits by itself; its default, 5 s, would only make things worse for the careless."""
EXT4_IOC_SHUTDOWN = 0x8004587D
NO_LOG_FLUSH = struct.pack("I", 2)
"""EXT4_GOING_FLAGS_NOLOGFLUSH of the kernel's ext4.h: what is not on the disk by now never gets there."""
UNMOUNT_TRIES = 50


class NoSuchPower(Exception):
    """This machine does not let us mount a disk of our own."""


class MortalDisk:
    """A fresh ext4, mounted while in the `with`; all traces are removed at its end, whatever happens."""

    def __enter__(self) -> Self:
        missing = [tool for tool in ("mkfs.ext4", "mount", "umount") if shutil.which(tool) is None]
        if os.geteuid() != 0 or missing:
            raise NoSuchPower(
                f"needs {', '.join(missing)}" if missing else "needs root, to mount a disk of its own"
            )
        self._folder = Path(tempfile.mkdtemp(prefix="scriptreel-powercut-"))
        self._image, self.root = self._folder / "disk.img", self._folder / "root"
        self.root.mkdir()
        try:
            _run("truncate", "-s", SIZE, str(self._image))
            _run("mkfs.ext4", "-q", "-E", "lazy_itable_init=0,lazy_journal_init=0", str(self._image))
            self.power_on()
        except BaseException:
            self.__exit__(None, None, None)
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.power_off()
        shutil.rmtree(self._folder)

    def power_on(self) -> None:
        """Mount; after a cut the kernel replays its journal, as it would after a reboot."""
        _run("mount", "-o", f"loop,commit={COMMIT_S}", str(self._image), str(self.root))

    def cut(self) -> None:
        """Nothing reaches the disk from this instant on; every call on a file fails."""
        descriptor = os.open(self.root, os.O_RDONLY)
        try:
            fcntl.ioctl(descriptor, EXT4_IOC_SHUTDOWN, NO_LOG_FLUSH)
        finally:
            os.close(descriptor)

    def power_off(self) -> None:
        """Unmount, which frees the loop device too; whoever used the disk must be gone, or about to go."""
        for _ in range(UNMOUNT_TRIES):
            if not os.path.ismount(self.root):
                return
            if subprocess.run(["umount", str(self.root)], capture_output=True, check=False).returncode == 0:
                return
            time.sleep(0.1)
        _run("umount", "--lazy", str(self.root))


def _run(*command: str) -> None:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise NoSuchPower(f"{command[0]}: {done.stderr.strip()}")
