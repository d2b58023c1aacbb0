"""Uploads: files that arrive in pieces, over as many connections as it takes.

What an upload's record says is on disk is on disk: its bytes are synced before the record
is written, and the record before the answer. The whole file then moves into the storage.
"""

import asyncio
import contextlib
import hashlib
import heapq
import logging
import secrets
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

from jobqueue import durable
from jobqueue.clock import Clock
from jobqueue.disk import on_disk
from jobqueue.errors import (
    ChecksumMismatch,
    OffsetMismatch,
    PathRefused,
    TooManyUploads,
    UploadGone,
    UploadLocked,
    UploadNotFound,
    UploadTooLong,
)
from jobqueue.storage import FILE_MAX_BYTES, Confirm, DirectoryStorage
from jobqueue.uninterrupted import uninterrupted
from jobqueue.uploads.inflow import Checksum, Inflow
from jobqueue.uploads.upload import UPLOAD_ID, Upload, UploadState, from_record, to_record

log = logging.getLogger(__name__)

LIFETIME_S = 24 * 3600.0
"""How long an upload waits for its next byte, and how long its end is remembered."""
UNTOUCHED_S = 3600.0
"""How long one waits for its first byte: whoever lost the answer to its creation begins another."""
OPEN_MAX = 256
SHARE_MAX = 32
"""Of these, what one sender that has a share may take: one lost machine must not shut the others out."""
KNOWN_MAX = 4096
SILENT_S = 5.0
"""A request that was silent for so long gives way to another for the same upload."""
PATIENCE_S = 60.0
"""A request that is silent for so long is given up: its sender may have vanished without a word."""


class Uploads:
    """The uploads below a folder of their own, on the file system of the storage."""

    def __init__(self, root: Path, tmp: Path, corrupt: Path, storage: DirectoryStorage, clock: Clock) -> None:
        """`corrupt`: where files go that are no records."""
        self._root = root
        self._tmp = tmp
        self._corrupt = corrupt
        self._storage = storage
        self._clock = clock
        self._uploads: dict[str, Upload] = {}
        self._turns: dict[str, _Turn] = {}
        self._creating = asyncio.Lock()

    # --- its life

    def load(self) -> None:
        """Take up what lies on disk. Blocking."""
        durable.make_folder(self._root)
        for path in self._root.glob("*.json"):
            try:
                upload = from_record(durable.read_record(path))
                if path.stem != upload.id:
                    raise ValueError("the record is another upload's")
            except (OSError, ValueError) as error:
                log.warning("uploads: %s is set aside: %s", path.name, error)
                path.replace(self._corrupt / path.name)
                continue
            self._uploads[upload.id] = self._settled(upload)
        for path in self._root.glob("*.part"):
            known = self._uploads.get(path.stem)
            if known is not None and known.state is not UploadState.OPEN:
                path.unlink()
            elif known is None:
                path.replace(self._corrupt / path.name)

    def _settled(self, upload: Upload) -> Upload:
        """The upload as a crash left it. Blocking."""
        part = self._part(upload.id)
        size_bytes = part.stat().st_size if part.is_file() else 0
        if upload.state is not UploadState.OPEN or size_bytes >= upload.offset:
            return upload
        # Its bytes have gone: into the storage just before the crash, or at somebody's hands.
        with contextlib.suppress(PathRefused):
            if upload.is_whole and self._storage.locate(upload.path).is_file():
                return replace(upload, state=UploadState.STORED)
        return replace(upload, state=UploadState.GONE)

    async def sweep(self) -> None:
        """Give up the uploads that no byte came for, and forget those that are long over."""
        now = self._clock.now()
        for upload in [one for one in self._uploads.values() if one.expires_at <= now]:
            if upload.id in self._turns:
                continue
            if upload.state is UploadState.OPEN:
                log.info("upload %s: expired at %d bytes of %s", upload.id, upload.offset, upload.path)
                await uninterrupted(self._give_up(upload))
            else:
                await uninterrupted(self._forget(upload))

    # --- what its senders may ask

    async def create(
        self,
        path: str,
        *,
        length: int | None,
        metadata: str,
        sha256: str | None,
        sender: str = "",
        confirm: Confirm = lambda: None,
    ) -> Upload:
        """Begin an upload.

        Args:
            sender: whose share of the open uploads it counts in; empty: it may take all there are.
        Raises: PathRefused, UploadTooLong, TooManyUploads, QueueUnwritable; whatever `confirm` raises.
        """
        if self._storage.locate(path).is_dir():
            raise PathRefused(path)
        if length is not None and length > FILE_MAX_BYTES:
            raise UploadTooLong(FILE_MAX_BYTES)
        self._storage.admit(length or 0)
        async with self._creating:
            self._require_share(sender)
            await self._make_room()
            expires_at = self._clock.now() + UNTOUCHED_S
            upload_id = secrets.token_hex(16)
            upload = Upload(
                upload_id, path, length, 0, metadata, sha256, UploadState.OPEN, expires_at, sender
            )
            await uninterrupted(self._keep(upload))
        return await self._stored_if_whole(upload, confirm)

    def _require_share(self, sender: str) -> None:
        """Raises: TooManyUploads."""
        senders = [upload.sender for upload in self._uploads.values() if upload.state is UploadState.OPEN]
        if len(senders) >= OPEN_MAX:
            raise TooManyUploads(OPEN_MAX)
        if sender and senders.count(sender) >= SHARE_MAX:
            raise TooManyUploads(SHARE_MAX)

    async def look(self, upload_id: str, *, confirm: Confirm = lambda: None) -> Upload:
        """The upload, all that has arrived so far counted.

        Raises: UploadNotFound, UploadGone; whatever `confirm` raises.
        """
        while (turn := self._turns.get(upload_id)) is not None:
            if turn.inflow is not None and not turn.inflow.is_full:
                await uninterrupted(turn.inflow.commit())
            if not self.find(upload_id).is_whole and not turn.is_storing:
                return self.find(upload_id)
            # To be whole means to its sender that all is well: not before the file is in its place.
            await turn.over.wait()
        if self.find(upload_id).is_whole:
            # The process died, or the disk filled up, between the last byte and the move.
            async with self._turn(upload_id) as turn:
                turn.be_patient()
                await self._stored_if_whole(self.find(upload_id), confirm)
        return self.find(upload_id)

    async def append(
        self,
        upload_id: str,
        offset: int,
        pieces: AsyncIterator[bytes],
        *,
        length: int | None = None,
        announced: int | None = None,
        checksum: Checksum | None = None,
        confirm: Confirm = lambda: None,
    ) -> Upload:
        """Add the bytes of one request; the last ones bring the file to its place.

        Args:
            offset: where its sender believes they go.
            pieces: the bytes; if it breaks off, what came before counts.
            length: of the whole, if it was not told at the creation.
            announced: how many bytes come, if that is known.
            checksum: what they must amount to; none of them counts otherwise.
        Raises: UploadNotFound, UploadGone, UploadLocked, OffsetMismatch, UploadTooLong, PieceDamaged,
            ChecksumMismatch, PathRefused, QueueUnwritable; TimeoutError if the sender fell silent;
            whatever `confirm` raises: the bytes are kept then, for who may go on.
        """
        self.find(upload_id)
        async with self._turn(upload_id) as turn:
            known = self.find(upload_id)
            if offset != known.offset:
                raise OffsetMismatch(known.offset)
            upload = _measured(known, length)
            limit = FILE_MAX_BYTES if upload.length is None else upload.length
            if offset + (announced or 0) > limit:
                raise UploadTooLong(limit)
            if upload != known:  # only now that the request is not refused does the length hold
                await uninterrupted(self._keep(upload))
            if upload.state is UploadState.OPEN:
                await self._receive(turn, upload, pieces, limit=limit, checksum=checksum)
                turn.be_patient()
                await self._stored_if_whole(self.find(upload_id), confirm)
        return self.find(upload_id)

    async def end(self, upload_id: str) -> None:
        """Call the upload off; a file that has reached its place stays there. Raises: as `append`."""
        self.find(upload_id)
        async with self._turn(upload_id) as turn:
            turn.be_patient()
            await uninterrupted(self._give_up(self.find(upload_id)))

    def find(self, upload_id: str) -> Upload:
        """The upload as it was last written down. Raises: UploadNotFound, UploadGone."""
        upload = self._uploads.get(upload_id)
        if upload is None or UPLOAD_ID.fullmatch(upload_id) is None:
            raise UploadNotFound(upload_id)
        if upload.state is UploadState.GONE:
            raise UploadGone(upload_id)
        is_late = upload.state is UploadState.OPEN and upload.expires_at <= self._clock.now()
        if is_late and upload_id not in self._turns:
            raise UploadGone(upload_id)
        return upload

    # --- how

    @asynccontextmanager
    async def _turn(self, upload_id: str) -> "AsyncIterator[_Turn]":
        """One request at a time; one that fell silent gives way. Raises: UploadLocked."""
        other = self._turns.get(upload_id)
        if other is not None and other.gives_way():
            await other.over.wait()
        if upload_id in self._turns:
            raise UploadLocked(upload_id)
        async with asyncio.timeout(PATIENCE_S) as patience:
            turn = self._turns[upload_id] = _Turn(patience, self._clock)
            try:
                yield turn
            finally:
                del self._turns[upload_id]
                turn.over.set()

    async def _receive(
        self,
        turn: "_Turn",
        upload: Upload,
        pieces: AsyncIterator[bytes],
        *,
        limit: int,
        checksum: Checksum | None,
    ) -> None:
        async def settle(offset: int) -> None:
            expires_at = self._clock.now() + LIFETIME_S
            await self._keep(replace(self._uploads[upload.id], offset=offset, expires_at=expires_at))

        inflow = Inflow(self._part(upload.id), upload.offset, limit=limit, checksum=checksum, settle=settle)
        await uninterrupted(inflow.open())
        turn.inflow = inflow
        try:
            async for piece in pieces:
                turn.hear()
                self._storage.admit(len(piece))
                await uninterrupted(inflow.add(piece))
            await uninterrupted(inflow.finish())
        except (asyncio.CancelledError, ConnectionError):
            # The sender has gone; what it sent until then it need not send again.
            await uninterrupted(inflow.commit())
            raise
        finally:
            turn.inflow = None
            await uninterrupted(inflow.close())

    async def _stored_if_whole(self, upload: Upload, confirm: Confirm) -> Upload:
        if not upload.is_whole or upload.state is not UploadState.OPEN:
            return upload
        return await uninterrupted(self._store(upload, confirm))

    async def _store(self, upload: Upload, confirm: Confirm) -> Upload:
        """Bring the whole file to its place.

        Raises: ChecksumMismatch, PathRefused, QueueUnwritable; whatever `confirm` raises.
        """
        part = self._part(upload.id)

        def is_sound() -> bool:
            part.touch(durable.PRIVATE_FILE)  # an empty file has had no byte to begin it
            if part.stat().st_size != upload.offset:
                return False
            return upload.sha256 is None or _sha256(part) == upload.sha256

        if not await on_disk(is_sound):
            await self._give_up(upload)
            raise ChecksumMismatch(upload.path)
        await self._storage.adopt(upload.path, part, confirm=confirm)
        stored = replace(upload, state=UploadState.STORED, expires_at=self._clock.now() + LIFETIME_S)
        await self._keep(stored)
        log.info("upload %s: stored as %s, %d bytes", upload.id, upload.path, upload.offset)
        return stored

    async def _keep(self, upload: Upload) -> None:
        """Write the record down, durably, and only then go by it."""
        record = durable.to_bytes(to_record(upload))
        await on_disk(lambda: durable.replace(self._tmp, self._record(upload.id), record))
        self._uploads[upload.id] = upload

    async def _give_up(self, upload: Upload) -> None:
        expires_at = self._clock.now() + LIFETIME_S
        await self._keep(replace(upload, state=UploadState.GONE, expires_at=expires_at))
        await on_disk(lambda: self._part(upload.id).unlink(missing_ok=True))

    async def _forget(self, upload: Upload) -> None:
        await on_disk(lambda: self._record(upload.id).unlink(missing_ok=True))
        self._uploads.pop(upload.id, None)

    async def _make_room(self) -> None:
        """Forget the oldest of those that are over, if many are known."""
        over = [upload for upload in self._uploads.values() if upload.state is not UploadState.OPEN]
        for upload in heapq.nsmallest(len(over) - KNOWN_MAX, over, key=lambda one: one.expires_at):
            await uninterrupted(self._forget(upload))

    def _record(self, upload_id: str) -> Path:
        return self._root / f"{upload_id}.json"

    def _part(self, upload_id: str) -> Path:
        return self._root / f"{upload_id}.part"


class _Turn:
    """The one request that may change an upload just now."""

    def __init__(self, patience: asyncio.Timeout, clock: Clock) -> None:
        self._patience = patience
        self._clock = clock
        self._heard_at: float | None = clock.monotonic()
        """None: it is not the sender that we wait for."""
        self.inflow: Inflow | None = None
        self.over = asyncio.Event()

    @property
    def is_storing(self) -> bool:
        return self._heard_at is None

    def hear(self) -> None:
        """A piece has come."""
        self._heard_at = self._clock.monotonic()
        self._wait_until(asyncio.get_running_loop().time() + PATIENCE_S)

    def be_patient(self) -> None:
        """All bytes are there: checking and storing them takes as long as it takes."""
        self._heard_at = None
        self._wait_until(None)

    def gives_way(self) -> bool:
        """End the request if its sender fell silent. Returns: whether it is about to be over."""
        if self._heard_at is None or self._clock.monotonic() - self._heard_at < SILENT_S:
            return False
        self._wait_until(0)
        return True

    def _wait_until(self, when: float | None) -> None:
        if not self._patience.expired():
            self._patience.reschedule(when)


def _measured(upload: Upload, length: int | None) -> Upload:
    """The upload with the length that was still to be told. Raises: UploadTooLong."""
    if length is None or length == upload.length:
        return upload
    if upload.length is not None or length < upload.offset or length > FILE_MAX_BYTES:
        raise UploadTooLong(FILE_MAX_BYTES if upload.length is None else upload.length)
    return replace(upload, length=length)


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
