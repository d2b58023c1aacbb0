"""A finished file that is not what it should be is never published."""

import asyncio
from pathlib import Path

import pytest

from tests.video import media
from tests.video.studio import Studio
from workers.video.check import check
from workers.video.errors import ProbeFailed
from workers.video.ffmpeg import FFmpeg

PICTURE = ["-f", "lavfi", "-t", "2", "-i", "color=s=1920x1080:r=25"]
SOUND = ["-f", "lavfi", "-t", "2", "-i", "sine=r=48000"]
H264 = ["-c:v", "libx264", "-preset", "ultrafast", "-pix_fmt", "yuv420p", "-g", "25"]
AAC = ["-c:a", "aac", "-ac", "2", "-ar", "48000"]
FAST = ["-movflags", "+faststart", "-f", "mp4"]


async def faults(place: Path, *, frames: int = 50, length_s: float = 2.0) -> list[str]:
    """What the check finds wrong."""
    try:
        await check(FFmpeg(), place, frames, length_s, lambda share: None)
    except ProbeFailed as error:
        return error.faults
    return []


@pytest.fixture
def good(tmp_path: Path) -> Path:
    place = tmp_path / "video.mp4.part"
    media.ffmpeg(*PICTURE, *SOUND, *H264, *AAC, *FAST, str(place))
    return place


async def test_a_good_file_passes(good: Path) -> None:
    assert await faults(good) == []


async def test_length_and_number_of_frames_are_held_against_the_recording(good: Path) -> None:
    assert await faults(good, frames=51) == ["it has 50 frames, not 51"]
    assert any("sound ends at 2.0" in fault for fault in await faults(good, length_s=2.3))


@pytest.mark.parametrize(
    ("arguments", "fault"),
    [
        ([*PICTURE, *H264, *FAST], "it has 1 streams"),
        ([*PICTURE, *SOUND, *H264, *AAC, "-f", "mp4"], "its index does not come first"),
        ([*PICTURE, *SOUND, *H264, *AAC, "-s", "1280x720", *FAST], "dimensions is 1280x720"),
        ([*PICTURE, *SOUND, *H264, *AAC, "-ac", "1", *FAST], "channel_layout_name is mono"),
        ([*PICTURE, *SOUND, *H264, *AAC, "-ar", "44100", *FAST], "sample_rate is 44100"),
        ([*PICTURE, *SOUND, *H264, "-c:a", "mp3", "-ac", "2", *FAST], "codec_id is mp3"),
        ([*PICTURE, *SOUND, "-c:v", "mpeg4", *AAC, *FAST], "codec_id is mpeg4"),
        ([*PICTURE, *SOUND, *H264, *AAC, "-frames:v", "40", *FAST], "it has 40 frames, not 50"),
    ],
)
async def test_each_fault_is_told(tmp_path: Path, arguments: list[str], fault: str) -> None:
    place = tmp_path / "video.mp4.part"
    await asyncio.to_thread(media.ffmpeg, *arguments, str(place))
    assert any(fault in each for each in await faults(place))


async def test_a_file_cut_short_or_damaged_does_not_pass(good: Path) -> None:
    whole = good.read_bytes()
    good.write_bytes(whole[: len(whole) * 2 // 3])
    assert await faults(good)
    good.write_bytes(whole[:20_000] + bytes(len(whole) - 20_000))
    assert await faults(good)


async def test_what_does_not_pass_never_replaces_the_video_before(studio: Studio, tmp_path: Path) -> None:
    studio.record(1)
    await studio.make()
    before = studio.video.read_bytes()
    liar = tmp_path / "liar"
    cut = "head -c 9000 video.mp4.part > cut; mv cut video.mp4.part"
    liar.write_text(f'#!/bin/sh\n{media.FFMPEG} "$@" || exit $?\ncase "$*" in *concat*) {cut};; esac\n')
    liar.chmod(0o700)
    with pytest.raises(ProbeFailed):
        await studio.make(program=liar)
    assert studio.video.read_bytes() == before


@pytest.mark.parametrize("keep", [0, 3000])
async def test_a_damaged_leftover_costs_one_attempt_and_no_more(studio: Studio, keep: int) -> None:
    """A scene file whose bytes were lost under its right name, as after a failing disk."""
    studio.record(0.4)
    studio.add("a.jpg", media.photo())
    await studio.interrupt(lambda progress: progress.message == "joining")
    (scene,) = studio.render.glob("scene-*.mp4")
    scene.write_bytes(scene.read_bytes()[:keep])
    with pytest.raises(ProbeFailed):
        await studio.make()
    assert not studio.video.exists()
    assert not studio.render.exists()
    await studio.make()
    assert media.decoded(studio.video, "v")[0] == 10
