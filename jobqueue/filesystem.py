"""What the file system below DATA_DIR promises, as far as the queue must know."""

from dataclasses import dataclass
from pathlib import Path

REMOTE = frozenset({"nfs", "nfs4", "cifs", "smb3", "fuse.sshfs", "9p", "ceph", "glusterfs"})
"""Where locks may not hold and a sync may not reach the disk."""


@dataclass(frozen=True, slots=True)
class FileSystem:
    """The one a folder lies on."""

    kind: str
    options: frozenset[str]

    @property
    def is_remote(self) -> bool:
        return self.kind in REMOTE


def file_system_of(folder: Path, mounts: Path = Path("/proc/self/mountinfo")) -> FileSystem:
    """The file system of an existing folder; of an unknown kind, where the system does not tell. Blocking.

    Source: proc(5), "mountinfo": id, parent, device, root, mount point, options, - type, source, options.
    """
    place, found = folder.resolve(), FileSystem("unknown", frozenset())
    try:
        lines = mounts.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return found
    longest = -1
    for line in lines:
        before, _, after = line.partition(" - ")
        point = Path(before.split(" ")[4].replace("\\040", " "))
        if place.is_relative_to(point) and len(point.parts) >= longest:  # a later mount covers an earlier one
            kind, _, options = after.split(" ", 2)
            longest = len(point.parts)
            found = FileSystem(kind, frozenset([*before.split(" ")[5].split(","), *options.split(",")]))
    return found
