"""Makes small media files for tests, and measures finished ones with FFmpeg itself."""

import os
import re
import select
import subprocess
import wave
from pathlib import Path
from random import Random

import imageio_ffmpeg
from PIL import Image

FFMPEG = imageio_ffmpeg.get_ffmpeg_exe()
RED, GREEN, BLUE = (200, 30, 30), (30, 160, 40), (40, 60, 200)
Colour = tuple[int, ...]


def ffmpeg(*arguments: str) -> str:
    """Run FFmpeg to its good end; returns what it said."""
    done = subprocess.run(
        [FFMPEG, "-y", "-hide_banner", "-nostdin", *arguments], check=False, capture_output=True
    )
    assert done.returncode == 0, done.stderr.decode()
    return done.stderr.decode()


def record(place: Path, seconds: float, *, rate_hz: int = 24_000) -> None:
    """A mono WAV file with a quiet hum."""
    place.parent.mkdir(parents=True, exist_ok=True)
    period = b"".join(int(8000 * (step / 40 - 1)).to_bytes(2, "little", signed=True) for step in range(80))
    with wave.open(str(place), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(rate_hz)
        samples = round(seconds * rate_hz)
        file.writeframes((period * (samples // 80 + 1))[: samples * 2])


def plain(colour: Colour, size: tuple[int, int] = (640, 360)) -> Image.Image:
    return Image.new("RGB", size, colour)


def photo(size: tuple[int, int] = (1280, 720)) -> Image.Image:
    """Something with as much detail as a photo."""
    slope = Image.linear_gradient("L").resize(size)
    grain = Image.frombytes("L", size, Random(1).randbytes(size[0] * size[1]))
    return Image.merge("RGB", (slope, slope.rotate(180), grain.point(lambda value: 90 + value // 4)))


def frame(video: Path, at_s: float) -> Image.Image:
    """The frame that a player shows at `at_s`."""
    command = [FFMPEG, "-v", "error", "-ss", f"{at_s}", "-i", str(video), "-frames:v", "1"]
    done = subprocess.run(
        [*command, "-f", "rawvideo", "-pix_fmt", "rgb24", "-"], capture_output=True, check=True
    )
    return Image.frombytes("RGB", (1920, 1080), done.stdout)


def colour_at(image: Image.Image, x: int, y: int) -> Colour:
    colour = image.getpixel((x, y))
    assert isinstance(colour, tuple)
    return colour


def near(one: Colour, other: Colour, tolerance: int = 6) -> bool:
    return all(abs(a - b) <= tolerance for a, b in zip(one, other, strict=True))


def streams(video: Path) -> list[str]:
    """What FFmpeg says of each stream, such as `Video: h264 (High) …, yuv420p(tv, bt709, progressive), …`."""
    # Without an output FFmpeg tells what it sees and ends with an error.
    told = subprocess.run([FFMPEG, "-hide_banner", "-i", str(video)], check=False, capture_output=True)
    said = told.stderr.decode()
    return re.findall(r"Stream #0:\d+.*?: ((?:Video|Audio): .*)", said)


def decoded(video: Path, stream: str) -> tuple[int, float]:
    """Frames (of video) and seconds of a stream such as `v`, after decoding all of it strictly."""
    command = [FFMPEG, "-v", "error", "-xerror", "-nostats", "-progress", "pipe:1", "-i", str(video)]
    done = subprocess.run(
        [*command, "-map", f"0:{stream}", "-f", "null", "-"], capture_output=True, check=True
    )
    said = done.stdout.decode()
    frames = re.findall(r"^frame=(\d+)", said, re.M)
    return int(frames[-1]) if frames else 0, int(re.findall(r"out_time_us=(\d+)", said)[-1]) / 1e6


def loudness_lufs(file: Path) -> float:
    said = ffmpeg("-i", str(file), "-map", "0:a", "-af", "ebur128", "-f", "null", "-")
    return float(re.findall(r"I: +(-?[\d.]+) LUFS", said)[-1])


def boxes(video: Path) -> list[str]:
    """Names of the file's top-level boxes, in order."""
    data, place, found = video.read_bytes(), 0, []
    while place < len(data):
        found.append(data[place + 4 : place + 8].decode())
        place += int.from_bytes(data[place : place + 4], "big")
    return found


def all_gone(folder: Path) -> bool:
    """Whether every process in `folder` has ended or is about to; one that is killed takes a moment."""
    for process in processes_in(folder):
        try:
            handle = os.pidfd_open(process)
        except ProcessLookupError:
            continue
        ended, _, _ = select.select([handle], [], [], 2)
        os.close(handle)
        if not ended:
            return False
    return True


def processes_in(folder: Path) -> list[int]:
    """Processes whose working directory is below `folder`."""
    found = []
    for entry in Path("/proc").iterdir():
        try:
            if entry.name.isdigit() and str((entry / "cwd").readlink()).startswith(str(folder)):
                found.append(int(entry.name))
        except OSError:  # ended meanwhile
            continue
    return found
