"""Recordings that cannot be used fail the job at once, with a sentence that tells what to do."""

from pathlib import Path

import pytest

from jobqueue.errors import JobInvalid, PermanentError
from tests.video import media
from tests.video.studio import PLACE, Studio
from workers.video.errors import RecordingUnusable
from workers.video.ffmpeg import FFmpeg
from workers.video.recording import examine


async def refused(studio: Studio) -> str:
    with pytest.raises(RecordingUnusable) as caught:
        await studio.make()
    assert isinstance(caught.value, PermanentError)
    assert str(studio.root) not in str(caught.value)
    assert not studio.render.exists()
    return str(caught.value)


async def test_a_missing_recording_is_asked_for(studio: Studio) -> None:
    assert await refused(studio) == (
        f"There is no recording at files/{PLACE}/audio.wav: upload it and /retry."
    )


async def test_a_recording_cut_short_in_its_upload_is_refused(studio: Studio) -> None:
    studio.record(4)
    place = studio.folder / "audio.wav"
    place.write_bytes(place.read_bytes()[:100_000])
    assert "is cut short or damaged: upload it again" in await refused(studio)


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "is empty"),
        (b"RIFF", "cut short or damaged"),
        (b"<html>404</html>" * 100, "cut short or damaged"),
        (b"#EXTM3U\nfile:///etc/passwd\n", "cut short or damaged"),
    ],
)
async def test_what_is_no_recording_is_refused(studio: Studio, content: bytes, reason: str) -> None:
    (studio.folder / "audio.wav").write_bytes(content)
    assert reason in await refused(studio)


async def test_a_recording_without_a_sample_is_refused(studio: Studio) -> None:
    studio.record(0)
    await refused(studio)


@pytest.mark.parametrize(("seconds", "frames"), [(0.01, 1), (1, 25), (1.001, 26), (3.33, 84)])
async def test_the_video_covers_the_last_sample(
    studio: Studio, ffmpeg: FFmpeg, seconds: float, frames: int
) -> None:
    studio.record(seconds)
    voice = await examine(ffmpeg, studio.folder, "files")
    assert voice.length_s == pytest.approx(seconds, abs=0.0005)
    assert voice.frames == frames


@pytest.mark.parametrize("form", ["pcm_f32le", "pcm_s24le"])
async def test_other_sample_formats_are_recordings_too(
    studio: Studio, ffmpeg: FFmpeg, tmp_path: Path, form: str
) -> None:
    media.record(tmp_path / "a.wav", 1)
    media.ffmpeg("-i", str(tmp_path / "a.wav"), "-ac", "2", "-c:a", form, str(studio.folder / "audio.wav"))
    assert (await examine(ffmpeg, studio.folder, "files")).length_s == 1.0


async def test_a_recording_written_through_a_pipe_has_no_length_and_is_taken(
    studio: Studio, ffmpeg: FFmpeg
) -> None:
    studio.record(1)
    place = studio.folder / "audio.wav"
    data = bytearray(place.read_bytes())
    data[4:8] = data[40:44] = b"\xff\xff\xff\xff"
    place.write_bytes(data)
    assert (await examine(ffmpeg, studio.folder, "files")).length_s == 1.0


@pytest.mark.parametrize("place", ["", "../images", "/etc", "a/../../b"])
async def test_a_job_without_a_folder_of_its_own_is_refused_for_good(studio: Studio, place: str) -> None:
    with pytest.raises(JobInvalid):
        await studio.make(organized_path=place)
