"""Runs FFmpeg as a child process: progress, deadlines, and an end that leaves nothing running."""

import asyncio
import contextlib
import logging
import os
import signal
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import imageio_ffmpeg

from jobqueue import tracing
from jobqueue.job import Job
from workers.video.errors import EncodeFailed, EncodeStalled

log = logging.getLogger(__name__)

LAUNCH = Path(__file__).with_name("launch.py")
STALL_S = 60.0
LOG_BYTES = 8192
BASE_S = 120.0
"""What any run may take on top of the work it is given, s."""
SLOWEST = 10.0
"""A run that takes this many times the length of its media has gone wrong."""
SILENT = 0.05
"""Seconds of silence allowed per second of media: the second pass of faststart reports nothing."""

PASSED_ON = ("PATH", "HOME", "TMPDIR", "LANG", "LD_LIBRARY_PATH")
"""All that FFmpeg gets of the bot's environment, which may hold keys and tokens."""
CORRELATION_ID = "CORRELATION_ID"
"""The variable that tells whose process it is, such as in `ps e`."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a run that ended well has done."""

    frames: int
    """Video frames written."""
    length_s: float
    """Length of what was written, s."""
    log: str
    """The end of what FFmpeg wrote to stderr."""


@dataclass(frozen=True, slots=True)
class Run:
    """A run that has ended, well or not."""

    step: str
    """What it was for, in a word or two."""
    seconds: float
    exit_code: int | None
    """Negative: killed by this signal. None: it would not die."""


class FFmpeg:
    """One FFmpeg program. For the event loop's thread alone: a child dies with the thread it came from."""

    def __init__(
        self,
        program: Path | None = None,
        *,
        stall_s: float = STALL_S,
        on_run: Callable[[Job, Run], None] = lambda job, run: None,
    ) -> None:
        """
        Args:
            program: None for the one of imageio-ffmpeg.
            stall_s: longest time without progress, s.
            on_run: told of each run for a job, at its end.
        """
        self._program = program
        self._stall_s = stall_s
        self._on_run = on_run
        self._version = ""

    async def version(self) -> str:
        """The line that tells one build from another."""
        if not self._version:
            nothing = ["-f", "lavfi", "-i", "anullsrc", "-t", "0.1", "-f", "null", "-"]
            outcome = await self.run(
                nothing, cwd=Path("/"), media_s=1, step="telling its version", options=("-loglevel", "info")
            )
            self._version = outcome.log.partition("\n")[0].strip()
        return self._version

    async def run(
        self,
        arguments: Sequence[str],
        *,
        cwd: Path,
        media_s: float,
        step: str = "running",
        on_frames: Callable[[int], None] = lambda frames: None,
        environment: Mapping[str, str] | None = None,
        options: Sequence[str] = ("-hide_banner", "-loglevel", "error"),
    ) -> Outcome:
        """Run FFmpeg in `cwd` and wait for its end.

        Args:
            media_s: length of the media it has to work through, s; the deadline grows with it.
            step: what it is for, in a word or two, for the logs.
            on_frames: called on progress with the number of video frames written so far.
            environment: more environment variables.
        Raises: EncodeFailed, EncodeStalled. However this ends, FFmpeg has ended too.
        """
        program = str(self._program or imageio_ffmpeg.get_ffmpeg_exe())
        began = time.monotonic()
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-I", "-S", str(LAUNCH), str(os.getpid()), program),
            *("-y", "-nostdin", *options, "-nostats", "-progress", "pipe:1", "-stats_period", "0.5"),
            *arguments,
            cwd=cwd,
            env=_environment(environment),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            start_new_session=True,
        )
        try:
            outcome = await self._follow(process, media_s, on_frames)
        finally:
            await _end(process)
            self._note(Run(step, round(time.monotonic() - began, 3), process.returncode))
        if process.returncode:
            raise EncodeFailed(process.returncode, outcome.log)
        return outcome

    def _note(self, run: Run) -> None:
        """One line for each run: in the process's log, and wherever the owner wants it."""
        log.info("ffmpeg: %s: %.1f s, exit %s", run.step, run.seconds, run.exit_code)
        job = tracing.job_in_hand.get()
        if job is not None:
            self._on_run(job, run)

    async def _follow(
        self, process: asyncio.subprocess.Process, media_s: float, on_frames: Callable[[int], None]
    ) -> Outcome:
        total_s, stall_s = BASE_S + SLOWEST * media_s, self._stall_s + SILENT * media_s
        if process.stdout is None or process.stderr is None:
            raise RuntimeError("FFmpeg was started without pipes")
        reader = _ProgressReader(process.stdout, on_frames)
        try:
            async with asyncio.timeout(total_s) as total, asyncio.timeout(stall_s) as stall:
                async with asyncio.TaskGroup() as group:
                    said = group.create_task(_tail(process.stderr))
                    group.create_task(reader.read(stall, stall_s))
                await process.wait()
        except TimeoutError:
            limit_s = total_s if total.expired() else stall_s
            raise EncodeStalled(limit_s, total=total.expired()) from None
        return Outcome(reader.frames, reader.length_us / 1e6, said.result())


class _ProgressReader:
    """Reads the blocks of `key=value` lines that `-progress` writes."""

    def __init__(self, stream: asyncio.StreamReader, on_frames: Callable[[int], None]) -> None:
        self._stream = stream
        self._on_frames = on_frames
        self.frames = 0
        self.length_us = 0

    async def read(self, stall: asyncio.Timeout, stall_s: float) -> None:
        """Read to the end; each step forward puts the stall deadline off."""
        while line := await self._stream.readline():
            if self._advanced(line):
                stall.reschedule(asyncio.get_running_loop().time() + stall_s)
        # What follows the last progress is only the process's own end.
        stall.reschedule(asyncio.get_running_loop().time() + stall_s)

    def _advanced(self, line: bytes) -> bool:
        key, _, value = line.strip().partition(b"=")
        if not value.isdigit():  # "N/A" until the first frame
            return False
        number = int(value)
        if key == b"frame" and number > self.frames:
            self.frames = number
            self._on_frames(number)
            return True
        if key == b"out_time_us" and number > self.length_us:
            self.length_us = number
            return True
        return False


async def _tail(stream: asyncio.StreamReader) -> str:
    kept = b""
    while piece := await stream.read(LOG_BYTES):
        kept = (kept + piece)[-LOG_BYTES:]
    return kept.decode(errors="replace")


async def _end(process: asyncio.subprocess.Process) -> None:
    """Kill the process if it still runs, and wait until it and its pipes are gone."""
    if process.returncode is None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
    try:
        async with asyncio.timeout(10):
            await process.communicate()
    except TimeoutError:
        log.error("FFmpeg (process %d) does not die; left behind", process.pid)


def _environment(more: Mapping[str, str] | None) -> dict[str, str]:
    kept = {name: os.environ[name] for name in PASSED_ON if name in os.environ}
    correlation_id = tracing.correlation_id()
    traced = {CORRELATION_ID: correlation_id} if correlation_id else {}
    return {**kept, **traced, "AV_LOG_FORCE_NOCOLOR": "1", **(more or {})}
