"""Files that survive a power cut: the order of write, fsync and rename, in one place.

Blocking; call from a thread. Why this order: without the fsync of the file its name can
come back empty, without the fsync of the folder the name can be missing altogether.
"""

import errno
import itertools
import json
import os
import secrets
import stat
import threading
from collections.abc import Mapping
from pathlib import Path

import orjson

from jobqueue.job import Json

PRIVATE_FILE = 0o600
PRIVATE_FOLDER = 0o700
RECORD_MAX_BYTES = 16 << 20
"""Far more than the longest script."""
NO_FILE = frozenset({errno.ELOOP, errno.ENXIO, errno.ENODEV})
"""What opening a link that leads round in circles, a socket or a lost device ends with."""


_LIFE = secrets.token_hex(6)
_NUMBERS = itertools.count()
"""Together they name what this process writes aside, unlike anything an earlier one left."""


MAKING_FOLDERS = threading.Lock()
"""Whoever finds a folder must find it durable: another may have made it just now, and not synced it yet."""


def make_folder(folder: Path) -> None:
    """Create the folder and its parents, durably and for our eyes only."""
    with MAKING_FOLDERS:
        missing = [folder]
        while not missing[-1].parent.is_dir():
            missing.append(missing[-1].parent)
        for path in reversed(missing):
            if not path.is_dir():
                path.mkdir(PRIVATE_FOLDER, exist_ok=True)
                sync_folder(path.parent)


def sync_folder(folder: Path) -> None:
    """Make the names in a folder durable."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def sync_file(path: Path) -> None:
    """Make the bytes of a file durable."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def aside(tmp: Path, name: str) -> Path:
    """A fresh name in `tmp` for something that will become `name`."""
    return tmp / f"{_LIFE}-{next(_NUMBERS)}-{name[:60]}"


def write_new(path: Path, data: bytes) -> int:
    """Write a new file and return its descriptor, still open, not synced. Nothing is left if that fails."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, PRIVATE_FILE)
    try:
        rest = memoryview(data)
        while rest:
            rest = rest[os.write(descriptor, rest) :]
    except OSError:
        os.close(descriptor)
        path.unlink(missing_ok=True)
        raise
    return descriptor


def write_aside(tmp: Path, name: str, data: bytes, *, sync: bool = True) -> Path:
    """Write a new file in `tmp` and return it; the caller renames it into place."""
    part = aside(tmp, name)
    descriptor = write_new(part, data)
    try:
        try:
            if sync:
                os.fsync(descriptor)
        finally:
            os.close(descriptor)
    except OSError:
        part.unlink(missing_ok=True)
        raise
    return part


def replace(tmp: Path, place: Path, data: bytes, *, sync_bytes: bool = True, sync_name: bool = True) -> None:
    """Put `data` under the name `place`, whole or not at all, over whatever was there.

    It survives a power cut, unless the caller can do without: without `sync_bytes` it may come
    back empty, without `sync_name` what was there before may come back.
    """
    part = write_aside(tmp, place.name, data, sync=sync_bytes)
    try:
        part.replace(place)
    except OSError:
        part.unlink(missing_ok=True)
        raise
    if sync_name:
        sync_folder(place.parent)


def to_bytes(record: Mapping[str, Json]) -> bytes:
    """A record as the JSON we keep on disk: readable with `cat`, a line for each field, Hindi as Hindi.

    A lone surrogate (half an emoji cut by some program) becomes `?`: it has no UTF-8.
    """
    # Not indented any deeper: a record of many small values would grow a hundredfold.
    lines = [b"  " + _encode(name) + b": " + _encode(value) for name, value in record.items()]
    return b"{\n" + b",\n".join(lines) + b"\n}\n"


def _encode(value: Json) -> bytes:
    try:
        return orjson.dumps(value)
    except TypeError:  # what it is too strict for: a lone surrogate, a number of more than 64 bits
        return json.dumps(value, ensure_ascii=False).encode(errors="replace")


def read_record(path: Path) -> dict[str, Json]:
    """A JSON object from disk. Raises: OSError; ValueError if it is not one, however odd the file."""
    with os.fdopen(_open_file(path), "rb") as file:
        try:
            record = json.loads(file.read())
        except RecursionError:
            raise ValueError(f"{path.name} is nested too deeply") from None
    if not isinstance(record, dict):
        raise ValueError(f"{path.name} holds no JSON object")
    return record


def _open_file(path: Path) -> int:
    """Descriptor of a file that may be a record. Raises: OSError; ValueError for all that is none."""
    try:
        # Not blocking: a named pipe that somebody put there must not hold us up for ever.
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    except OSError as error:
        if error.errno in NO_FILE:
            raise ValueError(f"{path.name} is no file") from error
        raise
    try:
        facts = os.fstat(descriptor)
        if not stat.S_ISREG(facts.st_mode) or facts.st_size > RECORD_MAX_BYTES:
            raise ValueError(f"{path.name} is no file of ours")
    except (OSError, ValueError):
        os.close(descriptor)
        raise
    return descriptor
