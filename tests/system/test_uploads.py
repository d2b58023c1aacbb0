"""A real bot killed in the middle of an upload."""

import asyncio
import random
from pathlib import Path

from jobqueue.client import Connection
from jobqueue.http_storage import HttpStorage
from jobqueue.resumable import PIECE_BYTES
from tests.relay import Relay
from tests.system.machine import KEY, Machine

SIZE = 40 << 20
PLACE = "2025-01-27/BI/video_1/audio.wav"
SLACK = 2 << 20


async def test_a_bot_killed_in_mid_upload_gets_only_the_rest_after_its_restart(
    machine: Machine, tmp_path: Path
) -> None:
    recording = tmp_path / "recording.wav"
    recording.write_bytes(random.Random(5).randbytes(SIZE))
    bot = await machine.bot()
    half = asyncio.Event()

    async with Relay(machine.port).running() as relay:

        def check(sent_bytes: int) -> None:
            if sent_bytes >= SIZE // 2 and not half.is_set():
                relay.hold()
                half.set()

        relay.on_sent = check
        async with Connection(f"http://127.0.0.1:{relay.port}", KEY) as connection:
            sending = asyncio.ensure_future(HttpStorage(connection).put(PLACE, recording))
            await half.wait()
            await machine.kill(bot)
            await machine.bot()
            relay.let_go()
            await sending
        assert relay.sent_bytes < SIZE + PIECE_BYTES + SLACK
    assert (machine.data_dir / "files" / PLACE).read_bytes() == recording.read_bytes()
    assert not list((machine.data_dir / "uploads").glob("*.part"))
