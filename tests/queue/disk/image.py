"""What lies on a disk, and what a power cut leaves of it.

Two things reach a disk in their own time: the bytes of a file, and the names in a folder. An
fsync of the file forces the first, an fsync of the folder the second; whatever was not forced may
be there afterwards or not, each by itself. That is harsher than any one file system, which is the
point: what survives here does not depend on the one somebody happens to use.
"""

import random
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol, TypeAlias

ROOT = 0
Files: TypeAlias = Mapping[str, bytes | None]
"""Contents by relative path; None is a folder. Parents come before what is in them."""


@dataclass(frozen=True, slots=True)
class Named:
    """A name now leads to a node; None: it is gone."""

    folder: int
    name: str
    node: int | None


@dataclass(frozen=True, slots=True)
class Names:
    """Names that changed in one step: one, or the two of a rename, the new one first."""

    names: tuple[Named, ...]
    is_folder: bool = False
    """Whether the node is a new folder rather than a file."""


@dataclass(frozen=True, slots=True)
class Written:
    node: int
    offset: int
    data: bytes


@dataclass(frozen=True, slots=True)
class Truncated:
    node: int
    size: int


@dataclass(frozen=True, slots=True)
class Synced:
    """An fsync; of everything if there is no node."""

    node: int | None


@dataclass(frozen=True, slots=True)
class Spoiled:
    """An fsync of the file failed. What the kernel could not write it then forgets to have to write:
    a later fsync that succeeds says nothing (the lesson of "fsyncgate")."""

    node: int


Change: TypeAlias = Names | Written | Truncated | Synced | Spoiled


class Fate(Protocol):
    """Decides what becomes of each thing that was not forced to the disk."""

    def keeps_name(self) -> bool: ...

    def left_of(self, safe: bytes, data: bytes) -> bytes:
        """What a file holds whose bytes were `safe` at its last fsync and are `data` now."""
        ...


class NothingElse:
    """Only what was forced is there."""

    def keeps_name(self) -> bool:
        return False

    def left_of(self, safe: bytes, data: bytes) -> bytes:
        return safe


class NamesOnly(NothingElse):
    """Every name is there, the bytes are not: empty files."""

    def keeps_name(self) -> bool:
        return True


class Chance:
    """Each thing by itself, as the dice say."""

    def __init__(self, seed: str) -> None:
        self._dice = random.Random(seed)

    def keeps_name(self) -> bool:
        return self._dice.random() < 0.5

    def left_of(self, safe: bytes, data: bytes) -> bytes:
        half = len(data) // 2
        return self._dice.choice([safe, data[:half], data[:half] + bytes(len(data) - half), data])


@dataclass(slots=True)
class File:
    data: bytes = b""
    safe: bytes = b""
    is_forced: bool = True
    """Whether all its bytes are safe."""
    is_spoiled: bool = False
    """Whether no fsync can make it safe any more."""


@dataclass(slots=True)
class Folder:
    names: dict[str, int] = field(default_factory=dict)
    safe: dict[str, int] = field(default_factory=dict)
    loose: list[tuple[int, Named]] = field(default_factory=list)
    """Changes since its last fsync, each with the number of its step."""


class Image:
    """The disk, as the changes so far have made it."""

    def __init__(self) -> None:
        self._nodes: dict[int, File | Folder] = {ROOT: Folder()}
        self._steps = 0
        self._arrived: set[int] = set()
        """Renames whose new name must be there, because the removal of the old one is."""

    # --- what happens to it

    def apply(self, change: Change) -> None:
        match change:
            case Names(names, is_folder):
                self._steps += 1
                for named in names:
                    self._name(named, is_folder)
            case Written(node, offset, data):
                file = self._file(node)
                before = file.data[:offset].ljust(offset, b"\0")
                file.data, file.is_forced = before + data + file.data[offset + len(data) :], False
            case Truncated(node, size):
                file = self._file(node)
                file.data, file.is_forced = file.data[:size].ljust(size, b"\0"), False
            case Spoiled(node):
                spoiled = self._nodes[node]
                if isinstance(spoiled, File):
                    spoiled.is_spoiled, spoiled.is_forced = True, False
            case Synced(node):
                for number in self._nodes if node is None else (node,):
                    self._sync(number)

    def _name(self, named: Named, is_folder: bool) -> None:
        folder = self.folder(named.folder)
        if named.node is None:
            folder.names.pop(named.name, None)
        else:
            self._nodes.setdefault(named.node, Folder() if is_folder else File())
            folder.names[named.name] = named.node
        folder.loose.append((self._steps, named))

    def _sync(self, number: int) -> None:
        node = self._nodes[number]
        if isinstance(node, File):
            if not node.is_spoiled:
                node.safe, node.is_forced = node.data, True
            return
        self._arrived |= {step for step, named in node.loose if named.node is None}
        node.safe = dict(node.names)
        node.loose.clear()

    # --- what lies on it

    def find(self, path: str) -> tuple[int, str, int | None]:
        """Folder and name that a relative path means, and the node there if any. Raises: KeyError."""
        *above, name = path.split("/")
        number = ROOT
        for part in above:
            number = self.folder(number).names[part]
        return number, name, self.folder(number).names.get(name)

    def folder(self, number: int) -> Folder:
        node = self._nodes[number]
        assert isinstance(node, Folder)
        return node

    def size(self, number: int) -> int:
        return len(self._file(number).data)

    def unforced(self) -> list[int]:
        """The files whose bytes are not safe."""
        return [
            number for number, node in self._nodes.items() if isinstance(node, File) and not node.is_forced
        ]

    def fresh_number(self) -> int:
        return len(self._nodes)

    def _file(self, number: int) -> File:
        node = self._nodes[number]
        assert isinstance(node, File)
        return node

    # --- what a crash leaves of it

    def after_death(self) -> Files:
        """The process died: all it did is there."""
        return dict(self._walk(ROOT, "", None))

    def after_power_cut(self, fate: Fate) -> Files:
        return dict(self._walk(ROOT, "", fate, self._undone(fate)))

    def _undone(self, fate: Fate) -> frozenset[int]:
        """The steps whose new names did not reach the disk. A rename is whole or not at all: no
        journal known to us forgets the new name and remembers that the old one is gone."""
        return frozenset(
            step
            for folder in self._nodes.values()
            if isinstance(folder, Folder)
            for step, named in folder.loose
            if named.node is not None and step not in self._arrived and not fate.keeps_name()
        )

    def _walk(
        self, number: int, above: str, fate: Fate | None, undone: frozenset[int] = frozenset()
    ) -> Iterator[tuple[str, bytes | None]]:
        folder = self.folder(number)
        names = folder.names if fate is None else self._left_names(folder, fate, undone)
        for name, inner in sorted(names.items()):
            node, path = self._nodes[inner], f"{above}{name}"
            if isinstance(node, Folder):
                yield path, None
                yield from self._walk(inner, f"{path}/", fate, undone)
            elif fate is None or node.is_forced:
                yield path, node.data
            else:
                yield path, fate.left_of(node.safe, node.data)

    @staticmethod
    def _left_names(folder: Folder, fate: Fate, undone: frozenset[int]) -> dict[str, int]:
        names = dict(folder.safe)
        for step, named in folder.loose:
            if step in undone:
                continue
            if named.node is not None:
                names[named.name] = named.node
            elif fate.keeps_name():
                names.pop(named.name, None)
        return names


def load(root: Path) -> Image:
    """The image of a folder as it lies there, all of it safe."""
    image = Image()

    def enter(number: int, path: Path) -> None:
        for inner in sorted(path.iterdir()):
            node = image.fresh_number()
            image.apply(Names((Named(number, inner.name, node),), inner.is_dir()))
            if inner.is_dir():
                enter(node, inner)
            else:
                image.apply(Written(node, 0, inner.read_bytes()))

    enter(ROOT, root)
    image.apply(Synced(None))
    return image


def lay_out(files: Files, root: Path) -> None:
    """Put the files there, as the next process finds them."""
    root.mkdir(0o700)
    for path, data in files.items():
        if data is None:
            (root / path).mkdir(0o700)
        else:
            (root / path).write_bytes(data)
            (root / path).chmod(0o600)
