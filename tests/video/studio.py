"""A small DATA_DIR for tests, with one job whose video is to be made."""

import asyncio
import contextlib
from collections.abc import Callable
from pathlib import Path

from PIL import Image

from jobqueue.job import Job, Json, Kind, Progress, Result
from tests.video import media
from workers.video.ffmpeg import FFmpeg
from workers.video.stage import VideoStage

PLACE = "2025-01-27/BI/video_1"


class Studio:
    """Holds the folders, the job and what was reported."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.folder = root / "files" / PLACE
        self.pictures = root / "images" / "nature"
        self.video = self.folder / "video.mp4"
        self.render = self.folder / "render"
        self.reports: list[Progress] = []
        self.folder.mkdir(parents=True)
        self.pictures.mkdir(parents=True)

    def record(self, seconds: float) -> None:
        media.record(self.folder / "audio.wav", seconds)

    def add(self, name: str, image: Image.Image) -> Path:
        place = self.pictures / name
        image.save(place, quality=92)
        return place

    def job(self, **fields: Json) -> Job:
        known: dict[str, Json] = {
            "organized_path": PLACE,
            "channel_code": "BI",
            "date": "2025-01-27",
            "video_number": 1,
            "image_folder": "nature",
        }
        return Job("j1", Kind.VIDEO, 0.0, fields={**known, **fields})

    def stage(self, *, program: Path | None = None, parallel: int | None = None) -> VideoStage:
        return VideoStage(
            self.root / "files",
            self.root / "images",
            self.root / "tmp",
            ffmpeg=FFmpeg(program),
            parallel=parallel,
            interval_s=0,
        )

    async def make(self, *, program: Path | None = None, **fields: Json) -> Result:
        return await self.stage(program=program).handle(self.job(**fields), self.report)

    async def interrupt(self, when: Callable[[Progress], bool], *, program: Path | None = None) -> None:
        """Begin to make the video, and cancel that when the progress is such."""
        reached = asyncio.Event()

        async def report(progress: Progress) -> None:
            if when(progress):
                reached.set()

        async with asyncio.TaskGroup() as group:
            making = group.create_task(self.stage(program=program).handle(self.job(), report))
            await reached.wait()
            making.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                async with asyncio.timeout(2):
                    await making
        assert making.cancelled()

    async def report(self, progress: Progress) -> None:
        self.reports.append(progress)

    def left_over(self) -> list[str]:
        """Every file in DATA_DIR that is neither input nor result."""
        results = {"audio.wav", "video.mp4", "thumbnail.jpg"}
        return [
            str(file.relative_to(self.root))
            for file in self.root.rglob("*")
            if file.is_file() and file.name not in results and self.pictures not in file.parents
        ]


def notes(result: Result) -> list[str]:
    """The sentences for the user."""
    said = result["notes"]
    assert isinstance(said, list)
    return [str(note) for note in said]
