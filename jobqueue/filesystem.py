"""What kind of file system DATA_DIR lies on: on some, locks and syncs do not hold."""

from pathlib import Path

REMOTE = frozenset({"nfs", "nfs4", "cifs", "smb3", "fuse.sshfs", "9p", "ceph", "glusterfs"})
"""Where locks may not hold and a sync may not reach the disk."""


def file_system_of(folder: Path, mounts: Path = Path("/proc/self/mountinfo")) -> str:
    """Kind of a folder's file system, such as `ext4`; empty if the system does not tell. Blocking.

    Source: proc(5), "mountinfo": id, parent, device, root, mount point, options, - type, source, options.
    """
    try:
        lines = mounts.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return ""
    place, found, longest = folder.resolve(), "", -1
    for line in lines:
        before, _, after = line.partition(" - ")
        point = Path(before.split(" ")[4].replace("\\040", " "))
        if place.is_relative_to(point) and len(point.parts) >= longest:  # a later mount covers an earlier one
            longest, found = len(point.parts), after.partition(" ")[0]
    return found
