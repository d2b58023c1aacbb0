"""A download: a file, or the part of it that was asked for if it still is what the caller knows."""

import asyncio
import math
import re
import stat
from collections.abc import Mapping
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path

from aiohttp import ETag, web
from aiohttp.abc import AbstractStreamWriter
from aiohttp.web_request import BaseRequest

from bot.endpoint.problems import Problem
from jobqueue.errors import MediaMissing

RANGE = re.compile(r"bytes=([0-9]{0,1000})-([0-9]{0,1000})", re.IGNORECASE)
# Never shown in a page of our own origin, whatever somebody uploaded.
HEADERS = {"Content-Disposition": "attachment", "X-Content-Type-Options": "nosniff"}


@dataclass(frozen=True, slots=True)
class Version:
    """By what a caller tells this file from the one that lay there before."""

    etag: str
    changed_at: float
    size_bytes: int

    def is_named(self, tags: tuple[ETag, ...], *, weak: bool) -> bool:
        return any(tag.value in ("*", self.etag) and (weak or not tag.is_weak) for tag in tags)


class Download(web.FileResponse):
    """aiohttp's answer with a file, told by us what to send of it.

    By itself it knows no If-Range with an entity tag, takes a Range that it cannot read for one that it
    cannot meet, and refuses without a word (RFC 9110, sections 13 and 14).
    """

    def __init__(self, place: Path, told: Mapping[str, str]) -> None:
        """`told`: the headers it goes by, whatever the request says."""
        super().__init__(place, headers=HEADERS)
        self._told = told

    async def prepare(self, request: BaseRequest) -> AbstractStreamWriter | None:
        return await super().prepare(request.clone(headers=self._told))

    def set_status(self, status: int, reason: str | None = None) -> None:
        if status == HTTPStatus.PRECONDITION_FAILED:
            # The caller did not ask for the If-Match of ours: it is to try again.
            raise ConnectionResetError("the file was replaced just before it was opened")
        super().set_status(status, reason)


async def download(request: web.Request, place: Path, path: str) -> web.StreamResponse:
    """The answer to a GET of the file. Raises: MediaMissing, Problem."""
    version = await asyncio.to_thread(_version, place, path)
    _require_known(request, version)
    if _is_unchanged(request, version):
        return Download(place, {"If-None-Match": "*"})
    part = _asked_part(request, version)
    if part is None:
        return Download(place, {})
    # If-Match: should the file be replaced before it is opened, no part of the new one is sent for the old.
    return Download(place, {"Range": f"bytes={part[0]}-{part[1]}", "If-Match": f'"{version.etag}"'})


def _version(place: Path, path: str) -> Version:
    """Blocking. Raises: MediaMissing."""
    try:
        facts = place.stat()
    except OSError:
        raise MediaMissing(path) from None
    if not stat.S_ISREG(facts.st_mode):
        raise MediaMissing(path)
    # As aiohttp writes it.
    return Version(f"{facts.st_mtime_ns:x}-{facts.st_size:x}", facts.st_mtime, facts.st_size)


def _require_known(request: web.Request, version: Version) -> None:
    """Raises: Problem, if the caller wants only a version that this is not."""
    if request.if_match is not None:
        is_known = version.is_named(request.if_match, weak=False)
    else:
        since = request.if_unmodified_since
        is_known = since is None or version.changed_at <= since.timestamp()
    if not is_known:
        raise Problem(
            HTTPStatus.PRECONDITION_FAILED, "the file is not as If-Match or If-Unmodified-Since has it"
        )


def _is_unchanged(request: web.Request, version: Version) -> bool:
    """Whether the caller has this version already."""
    if request.if_none_match is not None:
        return version.is_named(request.if_none_match, weak=True)
    since = request.if_modified_since
    return since is not None and version.changed_at <= since.timestamp()


def _asked_part(request: web.Request, version: Version) -> tuple[int, int] | None:
    """First and last byte of the part that is wanted; None: the whole file.

    Raises: Problem, if the file has no such part.
    """
    # Several headers, like several parts in one, are a wish that we need not grant: they get the whole file.
    found = RANGE.fullmatch(",".join(request.headers.getall("Range", [])))
    if request.method != "GET" or found is None or not _is_of_this(request, version):
        return None
    first, last = (int(digits) if digits else None for digits in found.groups())
    if (first is None and last is None) or (first is not None and last is not None and last < first):
        return None
    end = version.size_bytes - 1
    if first is None:
        first, last = max(0, version.size_bytes - (last or 0)), end
    if first > end:
        raise Problem(
            HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE,
            f"the file has {version.size_bytes} bytes: there is no such part",
            headers={"Content-Range": f"bytes */{version.size_bytes}"},
        )
    return first, end if last is None else min(last, end)


def _is_of_this(request: web.Request, version: Version) -> bool:
    """Whether If-Range, where it stands, names this version: only then is a part of it of use."""
    named = request.headers.get("If-Range")
    if named is None or named.strip() == f'"{version.etag}"':
        return True
    since = request.if_range
    return since is not None and since.timestamp() == math.ceil(version.changed_at)
