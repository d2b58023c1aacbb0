"""A key per worker, as whoever runs the bot uses it: made, used by a real worker, taken away."""

import asyncio
import json
import os
import re
import shutil
import sys
from pathlib import Path

import pytest

from jobqueue.client import Connection, HttpQueue
from jobqueue.job import Kind
from tests.system.machine import ROOT, Machine, job_done

SCRIPT = (ROOT / "examples/script_en.txt").read_text(encoding="utf-8")


async def run(machine: Machine, *command: str) -> tuple[int, str, str]:
    """Exit status, what it printed, and what it said on standard error."""
    child = await asyncio.create_subprocess_exec(
        *command,
        cwd=ROOT,
        env={"PATH": os.environ["PATH"], "DATA_DIR": str(machine.data_dir)},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    printed, said = await child.communicate()
    return child.returncode or 0, printed.decode(), said.decode()


async def worker_key(machine: Machine, *arguments: str) -> tuple[int, str, str]:
    return await run(machine, sys.executable, "-W", "error", "worker_key.py", *arguments)


async def test_a_worker_with_its_own_key_speaks_a_script_until_the_key_is_revoked(
    machine: Machine, connection: Connection
) -> None:
    _, printed, said = await worker_key(machine, "add", "gpu-1")  # no bot has ever run here
    key = printed.strip()
    assert re.fullmatch(r"srw_gpu-1_\S{43}", key) and key not in said
    await machine.bot(LOG_LEVEL="debug")
    worker = await machine.start("run_audio_worker.py", FILE_SERVER_API_KEY=key, LOG_LEVEL="debug")
    await HttpQueue(connection).enqueue(Kind.AUDIO, {"job_id": "j1", "script_text": SCRIPT})
    done = await job_done(connection, Kind.AUDIO, "j1")
    assert re.fullmatch(r"gpu-1\.[0-9a-f]{6}", done.job.text("worker_id"))
    assert (machine.data_dir / "files" / done.job.text("audio_path")).stat().st_size > 100_000
    assert (await worker_key(machine, "revoke", "gpu-1"))[0] == 0
    async with asyncio.timeout(60):
        assert await worker.wait() == os.EX_CONFIG
    log = machine.log("run_audio_worker.py").read_text()
    assert "does not accept the key" in log.strip().splitlines()[-1]
    assert key not in log + machine.log("run_bot.py").read_text()
    _stands_in_the_audit_log(machine.data_dir)


def _stands_in_the_audit_log(data_dir: Path) -> None:
    lines = [
        json.loads(line) for path in (data_dir / "audit").iterdir() for line in path.read_text().splitlines()
    ]
    who = {(line["who"], line["path"]) for line in lines}
    assert ("owner", "/queue/audio/jobs") in who
    assert {("worker gpu-1", "/queue/audio/claim"), ("worker gpu-1", "/queue/audio/jobs/j1/complete")} <= who


async def test_a_worker_that_takes_anothers_name_ends_with_one_clear_line(machine: Machine) -> None:
    await worker_key(machine, "add", "gpu-1")
    _, printed, _ = await worker_key(machine, "add", "gpu-2")
    await machine.bot()
    worker = await machine.worker("gpu-1", FILE_SERVER_API_KEY=printed.strip())
    async with asyncio.timeout(30):
        assert await worker.wait() == os.EX_CONFIG
    assert (
        "set WORKER_ID to 'gpu-2'" in machine.log("run_audio_worker.py").read_text().strip().splitlines()[-1]
    )


@pytest.mark.skipif(shutil.which("make") is None, reason="needs make")
async def test_make_makes_lists_and_revokes_keys_with_plain_sentences(machine: Machine) -> None:
    async def make(*arguments: str) -> tuple[int, str, str]:
        return await run(machine, "make", "--silent", "--assume-old=.venv/.ready", *arguments)

    assert "No worker has a key" in (await make("worker-keys"))[1]
    status, printed, _ = await make("worker-key", "NAME=gpu-1")
    assert status == 0 and re.fullmatch(r"srw_gpu-1_\S{43}\n", printed)
    for arguments, sentence in (
        (("NAME=gpu-1",), "REVOKE=1"),
        (("NAME=GPU 1; ls",), "will not do"),
        (("NAME=-x",), "will not do"),
        ((), "will not do"),
        (("NAME=gpu-9", "REVOKE=1"), "no key has the name"),
    ):
        status, printed, said = await make("worker-key", *arguments)
        assert status and not printed and sentence in said and "Traceback" not in said
    assert (await make("worker-key", "NAME=gpu-1", "REVOKE=1"))[0] == 0
    assert re.search(r"^gpu-1 .* revoked \d{4}-", (await make("worker-keys"))[1], re.MULTILINE)
