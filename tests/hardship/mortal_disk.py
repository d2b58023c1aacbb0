"""A disk whose power can be cut at any instant. Needs root and two loop devices.

The disk is a file on a file system of its own, and it is that one which is shut down: what the disk had not
confirmed to be safe may be gone, and nothing arrives any more. Shutting down the upper file system itself
would be simpler, and would find faults that are none: for an instant its journal is written, its data not.
"""

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

DISK_MB, HOUSE_MB = 192, 256
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
        self._house_image, self._house = self._folder / "house.img", self._folder / "house"
        self._image, self.root = self._house / "disk.img", self._folder / "root"
        for each in (self._house, self.root):
            each.mkdir()
        try:
            _make_file_system(self._house_image, HOUSE_MB)
            _mount(self._house_image, self._house)
            _make_file_system(self._image, DISK_MB)
            _mount(self._image, self.root)
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
        """Mount again; the kernel replays the journals, as it would after a reboot."""
        _mount(self._house_image, self._house)
        _mount(self._image, self.root)

    def cut(self) -> None:
        """Nothing reaches the disk from this instant on."""
        descriptor = os.open(self._house, os.O_RDONLY)
        try:
            fcntl.ioctl(descriptor, EXT4_IOC_SHUTDOWN, NO_LOG_FLUSH)
        finally:
            os.close(descriptor)

    def power_off(self) -> None:
        """Unmount, which frees the loop devices too; whoever used the disk must be gone, or about to go."""
        _unmount(self.root)
        _unmount(self._house)


def _make_file_system(image: Path, size_mb: int) -> None:
    with image.open("wb") as file:
        for _ in range(size_mb):
            file.write(bytes(1 << 20))  # allocated now, so that nothing of the house changes later
        os.fsync(file.fileno())
    _run("mkfs.ext4", "-q", "-F", "-E", "lazy_itable_init=0,lazy_journal_init=0", str(image))


def _mount(image: Path, place: Path) -> None:
    _run("mount", "-o", f"loop,commit={COMMIT_S}", str(image), str(place))


def _unmount(place: Path) -> None:
    for _ in range(UNMOUNT_TRIES):
        if not place.is_mount():
            return
        if subprocess.run(["umount", str(place)], capture_output=True, check=False).returncode == 0:
            return
        time.sleep(0.1)
    _run("umount", "--lazy", str(place))


def _run(*command: str) -> None:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise NoSuchPower(f"{command[0]}: {done.stderr.strip()}")
