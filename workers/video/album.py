"""Which files of a channel's image folder may be pictures, in the order in which people count."""

import re
import stat
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

IGNORED = frozenset({"thumbs.db", "desktop.ini"})
NAME_CHARACTERS = 60


@dataclass(frozen=True, slots=True)
class Album:
    """What was found in an image folder."""

    candidates: tuple[Path, ...]
    """Files that may be pictures, in natural order: `img2` before `img10`."""
    notes: tuple[str, ...]
    """A sentence for the user about each thing that was passed over."""


def find_pictures(images: Path, folder: str) -> Album:
    """Look into `images/{folder}`. Blocking. Never raises for what a user may have put there or asked for."""
    root = images.resolve()
    wanted = PurePosixPath(folder)
    if not folder:
        return Album((), ("No picture folder is set for this channel.",))
    place = _inside(root, images / wanted) if _well_formed(wanted) else None
    if place is None:
        return Album((), (f"The picture folder {shown(folder)} is not allowed: it leads out of images/.",))
    try:
        entries = sorted((entry for entry in place.iterdir()), key=natural)
    except OSError:
        return Album((), (f"There is no picture folder {shown(folder)}.",))
    visible = [entry for entry in entries if not _hidden(entry)]
    escaped = [entry for entry in visible if _inside(root, entry) is None]
    candidates = [entry for entry in visible if entry not in escaped and _is_file(entry)]
    notes = [
        f"{shown(entry.name)} was left out: it is a link that leads nowhere we may go." for entry in escaped
    ]
    if not candidates:
        notes.append(f"The picture folder {shown(folder)} holds no pictures.")
    return Album(tuple(candidates), tuple(notes))


def natural(path: Path) -> tuple[list[str | int], str]:
    """A key that sorts names by the numbers in them."""
    # Splitting on a group puts text at even and numbers at odd places, so like meets like.
    parts = re.split(r"([0-9]+)", path.name.casefold())
    return [int(part) if place % 2 else part for place, part in enumerate(parts)], path.name


def shown(name: str) -> str:
    """A file name from outside as one short, printable piece of a sentence."""
    clean = "".join(each if each.isprintable() else "?" for each in name)
    return clean if len(clean) <= NAME_CHARACTERS else f"{clean[:NAME_CHARACTERS]}…"


def _well_formed(folder: PurePosixPath) -> bool:
    return not folder.is_absolute() and ".." not in folder.parts and "\0" not in str(folder)


def _inside(root: Path, path: Path) -> Path | None:
    """Where `path` really leads, if that is a place below `root`."""
    try:
        real = path.resolve(strict=False)
    except (OSError, RuntimeError):  # a ring of links
        return None
    return real if real != root and real.is_relative_to(root) else None


def _hidden(path: Path) -> bool:
    return path.name.startswith(".") or path.name.casefold() in IGNORED


def _is_file(path: Path) -> bool:
    """A regular file: no folder, and no pipe on which a reader would wait for ever."""
    try:
        return stat.S_ISREG(path.stat().st_mode)
    except OSError:
        return False
