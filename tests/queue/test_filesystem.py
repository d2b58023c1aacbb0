"""The kind of file system below a folder is that of the mount nearest above it."""

from pathlib import Path

from jobqueue.filesystem import REMOTE, file_system_of


def test_the_nearest_mount_counts_and_of_two_at_one_place_the_later(tmp_path: Path) -> None:
    mounts, here = tmp_path / "mountinfo", tmp_path / "here there"
    (here / "queue").mkdir(parents=True)
    named = str(here).replace(" ", "\\040")
    mounts.write_text(
        "27 1 254:0 / / rw,relatime - ext4 /dev/vda rw\n"
        f"31 27 0:28 / {named} rw - tmpfs tmpfs rw\n"
        f"32 31 0:29 / {named} rw,relatime shared:1 - nfs4 box:/export rw\n"
        f"33 27 0:30 / {named}-not rw - xfs /dev/vdb rw\n"
    )
    assert file_system_of(here / "queue", mounts) == "nfs4"
    assert file_system_of(here / "queue", mounts) in REMOTE
    assert file_system_of(tmp_path, mounts) == "ext4"


def test_a_system_that_does_not_tell_is_no_obstacle(tmp_path: Path) -> None:
    assert file_system_of(tmp_path, tmp_path / "nowhere") == ""
