"""The audio worker: joins the objects of the process and runs them until SIGTERM."""

import asyncio
import logging
import os
import shutil
import socket
import tempfile
import uuid
from pathlib import Path

import logs
from jobqueue.client import Connection, HttpQueue
from jobqueue.errors import KeyRefused
from jobqueue.http_storage import HttpStorage
from jobqueue.job import Kind, WorkerReport
from jobqueue.worker import Worker
from jobqueue.worker_key import name_in
from settings import WorkerSettings, load
from stopping import give_up, give_up_if, stop_on_signals
from workers.audio.embedded import EmbeddedVoice
from workers.audio.narrator import Narrator

log = logging.getLogger(__name__)

WORK_DIR = "scriptreel-audio-"
"""Beginning of the name of each worker's temporary folder; its process id follows."""


async def main(settings: WorkerSettings, key: str) -> None:
    """Speak scripts until SIGTERM. Raises: KeyRefused, in a group."""
    stop = stop_on_signals()
    identity = identity_of(settings, key)
    clear_orphans()
    with tempfile.TemporaryDirectory(prefix=f"{WORK_DIR}{os.getpid()}-") as work_dir:
        async with Connection(settings.file_server_url, key) as connection:
            narrator = Narrator(
                EmbeddedVoice(),
                HttpStorage(connection),
                Path(work_dir),
                chunk_size=settings.chunk_size,
                speed=settings.audio_speed,
            )
            worker = Worker(
                HttpQueue(connection), Kind.AUDIO, identity, narrator.handle, wait_s=settings.poll_interval
            )
            log.info(
                "worker %s: embedded voice, waits for scripts from %s",
                identity.worker_id,
                settings.file_server_url,
            )
            async with asyncio.TaskGroup() as parts:
                parts.create_task(worker.run(stop), name="worker")
    log.info("worker %s: stopped", identity.worker_id)


def clear_orphans() -> None:
    """Remove what workers on this machine left that were killed: a chunk is small, a year of them is not."""
    for folder in Path(tempfile.gettempdir()).glob(f"{WORK_DIR}*"):
        pid = folder.name.removeprefix(WORK_DIR).partition("-")[0]
        if pid.isdigit() and not Path(f"/proc/{pid}").exists():
            shutil.rmtree(folder, ignore_errors=True)


def find_key(settings: WorkerSettings) -> str:
    """The endpoint's key: from the settings, else the one a bot on this machine keeps."""
    if settings.file_server_api_key:
        return settings.file_server_api_key
    try:
        return (settings.data_dir / "api_key").read_text(encoding="ascii").strip()
    except OSError:
        give_up(
            "no key: set FILE_SERVER_API_KEY to the bot's (it lies in queue/api_key), or start the bot first"
        )


def identity_of(settings: WorkerSettings, key: str) -> WorkerReport:
    """Who this worker is: named in the settings, else for its key if that is a worker's own."""
    worker_id, name = settings.worker_id, name_in(key)
    if name is not None and "worker_id" not in settings.model_fields_set:
        worker_id = f"{name}.{uuid.uuid4().hex[:6]}"
    return WorkerReport(
        worker_id, hostname=socket.gethostname(), vastai_instance_id=settings.vastai_instance_id
    )


def check_engine(settings: WorkerSettings) -> None:
    """Refuse an engine this version does not have, rather than speak in another voice than asked for."""
    if settings.speech_engine == "f5":
        give_up(
            "SPEECH_ENGINE=f5: this version speaks with the embedded voice only; set it to auto or embedded"
        )


if __name__ == "__main__":
    os.umask(0o077)
    worker_settings = load(WorkerSettings)
    check_engine(worker_settings)
    worker_key = find_key(worker_settings)
    logs.set_up(worker_settings.log_level, worker_settings.log_format, frozenset({worker_key}))
    try:
        asyncio.run(main(worker_settings, worker_key))
    except ExceptionGroup as group:
        give_up_if(group, KeyRefused)
