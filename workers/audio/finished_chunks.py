"""FinishedChunks: the spoken chunks of a job in the storage, where they outlive the machine."""

import asyncio
import hashlib
import json
from pathlib import Path

from jobqueue.errors import MediaMissing
from jobqueue.storage import Storage
from jobqueue.worker import insist
from workers.audio import assembly
from workers.audio.chunking import Chunk
from workers.audio.engine import SpeechEngine, Voice


class FinishedChunks:
    """The chunks of a job that need not be spoken again, by this worker or any other."""

    def __init__(self, storage: Storage, folder: str, rate_hz: int) -> None:
        """`folder`: where they lie in the storage."""
        self._storage = storage
        self._folder = folder
        self._rate_hz = rate_hz
        self._present: frozenset[str] = frozenset()

    async def look(self) -> None:
        """Learn what a former worker has left."""
        listing = await insist(lambda: self._storage.listing(self._folder), f"listing {self._folder}")
        self._present = frozenset(listing)

    async def fetch(self, name: str, target: Path) -> bool:
        """Copy a finished chunk to `target`; False if it has to be spoken, because there is no sound one."""
        if name not in self._present:
            return False
        path = f"{self._folder}/{name}"
        try:
            await insist(lambda: self._storage.get(path, target), f"fetching {path}")
        except MediaMissing:
            return False
        return await asyncio.to_thread(assembly.is_recording, target, self._rate_hz)

    async def keep(self, name: str, source: Path) -> None:
        """Store a chunk. When this returns, the loss of this machine does not lose it."""
        path = f"{self._folder}/{name}"
        await insist(lambda: self._storage.put(path, source), f"storing {path}")


def chunk_name(index: int, chunk: Chunk, engine: SpeechEngine, voice: Voice) -> str:
    """File name of the chunk, such as `0003-9f86d081884c7d65.wav`: another sound has another name.

    Args:
        index: place in the script, from 1.
    """
    # JSON keeps the fields apart and can write any text, half emoji included.
    sound = json.dumps(
        [
            chunk.text,
            [[segment.text, segment.pause] for segment in chunk.segments],
            [voice.identity, engine.name, engine.version, engine.rate_hz, assembly.FINGERPRINT],
        ]
    )
    return f"{index:04d}-{hashlib.sha256(sound.encode()).hexdigest()[:16]}.wav"
