"""FFmpeg as a child: whatever happens, it ends when it should and says why in plain words."""

import asyncio
import os
import select
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from jobqueue import tracing
from jobqueue.job import Job, Kind
from tests.video import media
from workers.video.errors import EncodeFailed, EncodeStalled
from workers.video.ffmpeg import FFmpeg, Run

ENDLESS = ["-re", "-f", "lavfi", "-i", "testsrc=s=64x64:r=25", "-f", "null", "-"]


def script(tmp_path: Path, body: str) -> FFmpeg:
    """A program that is started in FFmpeg's place."""
    place = tmp_path / "ffmpeg"
    place.write_text(f"#!/bin/sh\n{body}\n")
    place.chmod(0o700)
    return FFmpeg(place, stall_s=0.5)


async def test_a_run_tells_its_frames_and_its_length(tmp_path: Path, ffmpeg: FFmpeg) -> None:
    seen: list[int] = []
    source = ["-f", "lavfi", "-t", "2", "-i", "testsrc=s=64x64:r=25", "-f", "null", "-"]
    outcome = await ffmpeg.run(source, cwd=tmp_path, media_s=2, on_frames=seen.append)
    assert (outcome.frames, outcome.length_s, seen[-1]) == (50, 2.0, 50)
    assert (await ffmpeg.version()).startswith("ffmpeg version")


@pytest.mark.parametrize(
    "body",
    [
        "sleep 1000",
        "echo frame=1; exec sleep 1000",
        "while :; do echo frame=1; sleep 0.1; done",
        "exec >&- 2>&-; sleep 9",
    ],
    ids=["silent", "stops", "repeats itself", "closes its pipes"],
)
async def test_a_run_that_hangs_is_killed_with_all_it_started(tmp_path: Path, body: str) -> None:
    with pytest.raises(EncodeStalled, match=r"made no progress for 0\.5"):
        await script(tmp_path, body).run([], cwd=tmp_path, media_s=0)
    assert media.all_gone(tmp_path)


async def test_a_run_that_goes_on_for_ever_is_killed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("workers.video.ffmpeg.BASE_S", 1.0)
    with pytest.raises(EncodeStalled, match="did not finish within 1 s"):
        await FFmpeg().run(ENDLESS, cwd=tmp_path, media_s=0)
    assert media.all_gone(tmp_path)


async def test_a_cancelled_run_is_killed_at_once(tmp_path: Path, ffmpeg: FFmpeg) -> None:
    running = asyncio.Event()
    task = asyncio.create_task(
        ffmpeg.run(ENDLESS, cwd=tmp_path, media_s=10, on_frames=lambda frames: running.set())
    )
    await running.wait()
    assert len(media.processes_in(tmp_path)) == 1
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        async with asyncio.timeout(2):
            await task
    assert media.all_gone(tmp_path)


async def test_a_failure_is_told_without_the_folders_of_this_machine(tmp_path: Path, ffmpeg: FFmpeg) -> None:
    with pytest.raises(EncodeFailed) as caught:
        await ffmpeg.run(["-i", str(tmp_path / "no such.mp4"), "-f", "null", "-"], cwd=tmp_path, media_s=1)
    assert "No such file or directory" in str(caught.value)
    assert str(tmp_path) not in str(caught.value)
    assert "0x" not in str(caught.value)


@pytest.mark.parametrize(
    ("body", "code", "words"),
    [
        ("echo 'first\n\nlast' >&2; exit 3", 3, "ended with code 3: first / last"),
        ("kill -SEGV $$", -signal.SIGSEGV, "was killed by signal 11"),
        ("head -c 300000 /dev/zero | tr '\\0' x >&2; exit 1", 1, "ended with code 1"),
    ],
)
async def test_the_end_of_what_it_said_is_kept(tmp_path: Path, body: str, code: int, words: str) -> None:
    with pytest.raises(EncodeFailed) as caught:
        await script(tmp_path, body).run([], cwd=tmp_path, media_s=0)
    assert caught.value.exit_code == code
    assert words in str(caught.value)
    assert len(str(caught.value)) < 600


async def test_a_full_disk_is_called_that(tmp_path: Path, ffmpeg: FFmpeg) -> None:
    noise = [
        "-f",
        "lavfi",
        "-t",
        "1",
        "-i",
        "testsrc=s=640x360",
        "-c:v",
        "rawvideo",
        "-f",
        "nut",
        "/dev/full",
    ]
    with pytest.raises(EncodeFailed, match="the disk is full"):
        await ffmpeg.run(noise, cwd=tmp_path, media_s=1)


async def test_a_missing_program_is_no_fault_of_the_input(tmp_path: Path) -> None:
    with pytest.raises(EncodeFailed) as caught:
        await FFmpeg(tmp_path / "none").run([], cwd=tmp_path, media_s=1)
    assert caught.value.exit_code == 127


async def test_it_runs_below_the_bot_and_learns_none_of_its_secrets(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BOT_TOKEN", "123:secret")
    program = script(tmp_path, "nice >&2; env >&2; cat /proc/self/oom_score_adj >&2; umask >&2")
    said = (await program.run([], cwd=tmp_path, media_s=1)).log
    assert said.splitlines()[0] == str(min(19, os.nice(0) + 10))
    assert said.splitlines()[-2:] == ["500", "0077"]
    assert "secret" not in said


PARENT = """
import asyncio, sys
from pathlib import Path
from workers.video.ffmpeg import FFmpeg
endless = sys.argv[2:]
tell = lambda frames: print("running", flush=True)
asyncio.run(FFmpeg().run(endless, cwd=Path(sys.argv[1]), media_s=100, on_frames=tell))
"""


def test_it_dies_with_a_bot_that_is_killed(tmp_path: Path) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", PARENT, str(tmp_path), *ENDLESS], stdout=subprocess.PIPE
    ) as parent:
        assert parent.stdout is not None
        assert parent.stdout.readline() == b"running\n"
        (child,) = media.processes_in(tmp_path)
        handle = os.pidfd_open(child)
        parent.kill()
        ended, _, _ = select.select([handle], [], [], 10)
        if not ended:
            signal.pidfd_send_signal(handle, signal.SIGKILL)
        os.close(handle)
    assert ended, "FFmpeg outlived the bot"


async def test_a_run_for_a_job_carries_its_correlation_id_and_is_told_of(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    told: list[tuple[str, Run]] = []
    script(tmp_path, f'echo "$CORRELATION_ID" > {tmp_path}/seen; exit ${{EXIT:-0}}')
    ffmpeg = FFmpeg(tmp_path / "ffmpeg", on_run=lambda job, run: told.append((job.id, run)))
    job = Job("j1", Kind.VIDEO, 0.0, fields={"correlation_id": "abc123"})
    with caplog.at_level("INFO"), tracing.following(job):
        await ffmpeg.run([], cwd=tmp_path, media_s=0, step="joining")
        assert (tmp_path / "seen").read_text() == "abc123\n"
        with pytest.raises(EncodeFailed):
            await ffmpeg.run([], cwd=tmp_path, media_s=0, step="checking", environment={"EXIT": "3"})
    assert [(job_id, run.step, run.exit_code) for job_id, run in told] == [
        ("j1", "joining", 0),
        ("j1", "checking", 3),
    ]
    assert all(0 < run.seconds < 30 for _, run in told)
    assert "ffmpeg: checking" in caplog.text
    assert "exit 3" in caplog.text


async def test_a_run_for_nobody_carries_no_correlation_id(tmp_path: Path) -> None:
    ffmpeg = script(tmp_path, f'echo "${{CORRELATION_ID-none}}" > {tmp_path}/seen')
    await ffmpeg.run([], cwd=tmp_path, media_s=0)
    assert (tmp_path / "seen").read_text() == "none\n"


async def test_a_run_that_was_called_off_is_told_of_too(tmp_path: Path) -> None:
    told: list[Run] = []
    ffmpeg = FFmpeg(on_run=lambda job, run: told.append(run))
    running = asyncio.Event()
    with tracing.following(Job("j1", Kind.VIDEO, 0.0)):
        task = asyncio.create_task(
            ffmpeg.run(ENDLESS, cwd=tmp_path, media_s=10, on_frames=lambda frames: running.set())
        )
        await running.wait()
        task.cancel()
        await asyncio.wait({task})
    assert [run.exit_code for run in told] == [-signal.SIGKILL]
