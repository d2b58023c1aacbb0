"""The bot: joins the objects of the process and runs them until SIGTERM."""

import asyncio
import logging
import os

import logs
from bot.chat.settings import ChatSettings
from bot.chat.telegram_bot import Chat
from bot.endpoint.application import Endpoint, EndpointSettings, PortTaken
from bot.endpoint.descriptors import raise_limit
from bot.endpoint.health_routes import disk_check, worker_check, write_check
from bot.library.channels import Channels
from bot.notifications import Delivery, Notifications
from bot.publishing.links import SignedLinks
from jobqueue.clock import SystemClock
from jobqueue.directory import DirectoryQueue
from jobqueue.errors import AlreadyOwned, QueueUnwritable
from jobqueue.job import Job, Kind, WorkerReport
from jobqueue.keyfile import kept_secret
from jobqueue.policy import DAY_S, KeepPolicy, QueuePolicy
from jobqueue.worker import Worker
from settings import BotSettings, load
from stopping import give_up, give_up_if, stop_on_signals, until_stop
from workers.video.ffmpeg import FFmpeg, Run
from workers.video.stage import VideoStage

log = logging.getLogger(__name__)

VIDEO_WORKER = WorkerReport("bot", hostname="this process")
"""The render task has one name for ever: at a start we know that whatever it held, it holds no more."""


async def main(settings: BotSettings) -> None:
    """Run until SIGTERM; if one part dies, the others are cancelled and the process exits."""
    stop = stop_on_signals()
    clock, data_dir = SystemClock(), settings.data_dir
    channels = Channels(data_dir / "channels.json", clock, settings.chat_id)
    queue = DirectoryQueue(data_dir, channels, clock, queue_policy(settings))
    await queue.open()
    try:
        await queue.take_back(
            Kind.VIDEO, VIDEO_WORKER.worker_id, "the bot stopped in the middle of rendering"
        )
        key = settings.file_server_api_key or kept_secret(data_dir / "api_key", data_dir / "tmp")
        logs.set_up(settings.log_level, settings.log_format, frozenset({key, settings.bot_token or ""}))
        secret = kept_secret(data_dir / "secret", data_dir / "tmp")
        links = SignedLinks(settings.public_url, clock, secret)
        chat = Chat(
            queue,
            feed=queue.feed,
            outbox=queue.outbox,
            data_dir=data_dir,
            settings=chat_settings(settings),
            channels=channels,
            roster=queue.roster,
            clock=clock,
            links=links,
        )
        delivery = Delivery(settings.chat_id, settings.telegram_max_upload_mb * 1_000_000)
        notifications = Notifications(
            queue,
            queue.outbox,
            feed=queue.feed,
            data_dir=data_dir,
            messenger=chat.messenger,
            links=links,
            clock=clock,
            delivery=delivery,
        )
        endpoint = Endpoint(
            queue,
            links,
            clock,
            [disk_check(queue), write_check(queue), worker_check(queue)],
            EndpointSettings(settings.api_host, settings.api_port, key, settings.lease_seconds, secret),
        )
        ffmpeg = FFmpeg(on_run=lambda job, run: note_run(queue, job, run))
        stage = VideoStage(data_dir / "files", data_dir / "images", data_dir / "tmp", ffmpeg=ffmpeg)
        video = Worker(queue, Kind.VIDEO, VIDEO_WORKER, stage.handle, wait_s=30)
        async with asyncio.TaskGroup() as parts:
            for name, part in (
                ("endpoint", endpoint.serve(stop)),
                ("sweeper", queue.tend(stop)),
                ("retention", queue.retention.run(stop)),
                ("video stage", video.run(stop)),
                ("chat", chat.serve(stop)),
                ("notifications", notifications.run(stop)),
            ):
                parts.create_task(until_stop(part, stop, name), name=name)
    finally:
        await queue.close()
    log.info("bot: stopped")


def note_run(queue: DirectoryQueue, job: Job, run: Run) -> None:
    """Tell the job's log of a run of FFmpeg."""
    queue.note(job, "ffmpeg", step=run.step, seconds=run.seconds, exit=run.exit_code)


def queue_policy(settings: BotSettings) -> QueuePolicy:
    return QueuePolicy(
        max_failures=settings.max_retries,
        retry_base_s=settings.retry_base_seconds,
        retry_cap_s=settings.retry_cap_seconds,
        lease_s=settings.lease_seconds,
        stuck_s=settings.stuck_minutes * 60,
        keep=KeepPolicy(settings.keep_days * DAY_S, settings.keep_jobs),
        min_free_bytes=settings.min_free_mb << 20,
    )


def chat_settings(settings: BotSettings) -> ChatSettings:
    return ChatSettings(
        token=settings.bot_token or "",
        api_url=settings.telegram_api_url,
        allowed_users=settings.allowed_users,
        admin_users=settings.admin_users,
        script_min_chars=settings.script_min_chars,
        script_max_chars=settings.script_max_chars,
        max_attempts=settings.max_retries,
    )


if __name__ == "__main__":
    os.umask(0o077)
    raise_limit()
    bot_settings = load(BotSettings)
    logs.set_up(bot_settings.log_level, bot_settings.log_format, frozenset({bot_settings.bot_token or ""}))
    try:
        asyncio.run(main(bot_settings))
    except (AlreadyOwned, QueueUnwritable) as refused:
        give_up(str(refused))
    except ExceptionGroup as group:
        give_up_if(group, PortTaken)
