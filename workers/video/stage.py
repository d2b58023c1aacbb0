"""The video stage: recording and pictures, storyboard, render, join, check, publish."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from jobqueue import durable
from jobqueue.errors import JobInvalid, PathRefused
from jobqueue.job import Job, Result
from jobqueue.storage import DirectoryStorage
from jobqueue.worker import Report
from workers.video import album, recording, scenes, sound, storyboard, title_card
from workers.video.check import check
from workers.video.errors import MediaError
from workers.video.ffmpeg import FFmpeg
from workers.video.join import join
from workers.video.preparation import Picture, prepare
from workers.video.progress import INTERVAL_S, Meter
from workers.video.recording import Recording
from workers.video.standard import FPS
from workers.video.tasks import first_error, to_the_end
from workers.video.thumbnail import thumbnail
from workers.video.workshop import workshop

VIDEO = "video.mp4"
THUMBNAIL = "thumbnail.jpg"
MOST_NOTES = 10


@dataclass(frozen=True, slots=True)
class Material:
    """What a video is made of."""

    pictures: tuple[Picture, ...]
    """At least one: the title card, if nothing else."""
    shown: int
    """How many of them are the user's own."""
    notes: tuple[str, ...]


class VideoStage:
    """Makes the video of one job. Made again, it replaces the one before: a job may be delivered twice."""

    def __init__(
        self,
        files: Path,
        images: Path,
        tmp: Path,
        *,
        ffmpeg: FFmpeg | None = None,
        parallel: int | None = None,
        interval_s: float = INTERVAL_S,
    ) -> None:
        """
        Args:
            files, images: where the media of jobs and the pictures of channels lie.
            tmp: for files on their way into place; on the same file system as `files`.
            parallel: scenes rendered at a time; None for as many as there are cores, up to four.
            interval_s: shortest time between two progress reports, s.
        """
        self._files = files
        self._images = images
        self._tmp = tmp
        self._ffmpeg = ffmpeg or FFmpeg()
        self._parallel = parallel or scenes.parallel_renders()
        self._interval_s = interval_s

    async def handle(self, job: Job, report: Report) -> Result:
        """Make `video.mp4` and `thumbnail.jpg` in the job's folder.

        Raises: RecordingUnusable, JobInvalid (both permanent); any other MediaError is worth another attempt.
        """
        folder = self._folder(job)
        meter = Meter(self._interval_s)
        with first_error():
            async with _telling(meter, report):
                try:
                    return await self._make(job, folder, meter)
                except OSError as error:
                    raise MediaError(
                        f"this machine could not do it: {error.strerror or type(error).__name__}"
                    ) from error

    def _folder(self, job: Job) -> Path:
        try:
            return DirectoryStorage(self._files, self._tmp).locate(job.organized_path)
        except PathRefused as error:
            raise JobInvalid({"organized_path": str(error)}) from error

    async def _make(self, job: Job, folder: Path, meter: Meter) -> Result:
        meter.at("preparing pictures", 0)
        voice = await recording.examine(self._ffmpeg, folder, f"files/{job.organized_path}")
        async with workshop(folder) as work:
            material = await self._material(job, voice.frames, work, meter)
            video = await self._render(material.pictures, voice, work, meter)
            meter.at("checking", 0)
            await check(
                self._ffmpeg, video, voice.frames, voice.length_s, lambda share: meter.at("checking", share)
            )
            size_bytes = await to_the_end(self._publish, video, material.pictures[0].place, folder)
        return {
            "video_path": f"{job.organized_path}/{VIDEO}",
            "thumbnail_path": f"{job.organized_path}/{THUMBNAIL}",
            "duration_s": round(voice.frames / FPS, 2),
            "size_bytes": size_bytes,
            "pictures": material.shown,
            "notes": list(_shortened(material.notes)),
        }

    async def _material(self, job: Job, total_frames: int, work: Path, meter: Meter) -> Material:
        found = await to_the_end(album.find_pictures, self._images, job.text("image_folder"))
        prepared = await prepare(
            self._ffmpeg,
            found.candidates,
            storyboard.room(total_frames),
            work,
            lambda share: meter.at("preparing pictures", share),
        )
        notes = (*found.notes, *prepared.notes)
        if prepared.pictures:
            return Material(prepared.pictures, len(prepared.pictures), notes)
        channel, title = await to_the_end(title_card.wording, job)
        card = await title_card.draw(self._ffmpeg, channel, title, work)
        return Material(
            (card,), 0, ("The video shows a title card, as there was no picture to show.", *notes)
        )

    async def _render(self, pictures: Sequence[Picture], voice: Recording, work: Path, meter: Meter) -> Path:
        board = storyboard.spread(pictures, voice.frames)
        meter.at("rendering", 0)
        await self._ffmpeg.version()  # once, not by both of the tasks below
        with first_error():
            async with asyncio.TaskGroup() as group:
                heard = group.create_task(sound.render(self._ffmpeg, voice, work))
                seen = group.create_task(
                    scenes.render(
                        self._ffmpeg, board, work, self._parallel, lambda share: meter.at("rendering", share)
                    )
                )
        meter.at("joining", 0)
        return await join(
            self._ffmpeg,
            seen.result(),
            heard.result(),
            voice.frames,
            lambda share: meter.at("joining", share),
        )

    def _publish(self, video: Path, first_picture: Path, folder: Path) -> int:
        """The moment the video becomes visible: complete and durable, the thumbnail before it."""
        durable.make_folder(self._tmp)
        durable.replace(self._tmp, folder / THUMBNAIL, thumbnail(first_picture))
        durable.sync_file(video)
        size_bytes = video.stat().st_size
        video.replace(folder / VIDEO)
        durable.sync_folder(folder)
        return size_bytes


@contextlib.asynccontextmanager
async def _telling(meter: Meter, report: Report) -> AsyncIterator[None]:
    """Report progress for as long as the work inside goes on."""
    async with asyncio.TaskGroup() as group:
        telling = group.create_task(meter.tell(report))
        try:
            yield
        finally:
            telling.cancel()


def _shortened(notes: Sequence[str]) -> Sequence[str]:
    if len(notes) <= MOST_NOTES:
        return notes
    return (*notes[:MOST_NOTES], f"… and {len(notes) - MOST_NOTES} more.")
