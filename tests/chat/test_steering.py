"""What steers the whole of the work: /pause, /resume, /retry all, and a full disk."""

import pytest

from jobqueue.diskguard import DiskGuard
from jobqueue.job import Json, Kind
from jobqueue.lifecycle import State
from tests.chat.conftest import ADMIN, ANN, BEN, SCRIPT, Studio
from tests.telegram_peer import Peer, Person

pytestmark = pytest.mark.usefixtures("chat")


@pytest.fixture
def admin(peer: Peer) -> Person:
    return peer.person(ADMIN)


async def fail(studio: Studio, job_id: str, user_id: int, chat_id: int) -> None:
    record: dict[str, Json] = {
        "job_id": job_id,
        "script_text": SCRIPT,
        "chat_id": chat_id,
        "user_id": user_id,
    }
    await studio.queue.enqueue(Kind.AUDIO, record)
    audio = await studio.claim(Kind.AUDIO)
    await studio.queue.fail(audio.claim, "no voice", permanent=True)


async def test_an_admin_pauses_and_resumes(studio: Studio, admin: Person, ann: Person) -> None:
    await admin.send("/pause audio")
    await admin.sees("Speech is paused.*/resume audio")
    assert studio.queue.pauses.is_paused(Kind.AUDIO)
    assert not studio.queue.pauses.is_paused(Kind.VIDEO)
    await ann.send("/queue")
    await ann.sees("Speech is paused: what waits")
    await admin.send("/pause")
    await admin.sees("Rendering is paused")
    await admin.send("/resume")
    await admin.sees("Rendering goes on")
    assert not any(studio.queue.pauses.is_paused(kind) for kind in Kind)
    await admin.send("/pause everything")
    await admin.sees("Please say /pause audio or /pause video")


async def test_nobody_else_does(studio: Studio, ann: Person, asha: Person) -> None:
    await ann.send("/pause")
    await ann.sees("Only an admin can do this")
    await asha.send("/resume audio")
    await asha.sees("सिर्फ़ एडमिन")
    assert not any(studio.queue.pauses.is_paused(kind) for kind in Kind)


async def test_retry_all_puts_ones_own_failed_videos_back(studio: Studio, ann: Person, admin: Person) -> None:
    await ann.send("/retry all")
    await ann.sees("None of your videos has failed")
    await fail(studio, "ann-1", ANN, ann.id)
    await fail(studio, "ann-2", ANN, ann.id)
    await fail(studio, "bens", BEN, BEN)
    video = await _with_a_failed_video(studio, ann)
    await admin.send("/retry all")
    await admin.sees("None of your videos has failed")
    await ann.send("/retry all")
    await ann.sees("3 videos are in the queue again")
    states = {
        job_id: (await studio.queue.get(Kind.AUDIO, job_id)).state for job_id in ("ann-1", "ann-2", "bens")
    }
    assert states == {"ann-1": State.PENDING, "ann-2": State.PENDING, "bens": State.FAILED}
    assert (await studio.queue.get(Kind.VIDEO, video)).state is State.PENDING


async def _with_a_failed_video(studio: Studio, ann: Person) -> str:
    record: dict[str, Json] = {"job_id": "spoken", "script_text": SCRIPT, "chat_id": ann.id, "user_id": ANN}
    await studio.queue.enqueue(Kind.AUDIO, record)
    video = await studio.speak()
    await studio.queue.fail(video.claim, "no pictures", permanent=True)
    return video.job.id


async def test_whoever_sends_a_script_to_a_full_disk_is_told(studio: Studio, ann: Person) -> None:
    # Nothing is full: the guard is one that wants more than there is.
    studio.queue._admission._guard = Full(studio.data_dir, min_free_bytes=1)
    await ann.send(SCRIPT)
    await ann.sees("could not be saved, so it is not in the queue")
    assert studio.queue.stats(Kind.AUDIO)["pending"] == 0


class Full(DiskGuard):
    def shortage(self) -> str | None:
        return "only 1 MB is free"
