"""The accounts of a soak: what customers, workers and chats were told, against what lies in the folders."""

import json
from collections import Counter
from pathlib import Path

from jobqueue.job import Kind, video_job_id
from jobqueue.lifecycle import State
from tests.hardship.claims import Folders, look
from tests.hardship.customers import Customers
from tests.telegram_peer import Peer
from tests.telegram_peer.world import Call

SENDING = ("sendmessage", "sendvideo", "sendphoto", "senddocument")
ENOUGH_STOPS = 8


def balance(data_dir: Path, customers: Customers, notes: Path) -> list[str]:
    """One sentence for each account that does not balance."""
    audio, video = look(data_dir), look(data_dir, Kind.VIDEO)
    faults = customers.claims.broken(audio) + video.faults
    faults += [f"from nowhere: {job_id}" for job_id in audio.states.keys() - customers.attempted]
    faults += _completions(data_dir, audio, notes)
    recorded = {
        video_job_id(path.stem)
        for path in (data_dir / "audio-queue/completed").glob("*.json")
        if "audio_path" in json.loads(path.read_bytes())
    }
    faults += [
        f"video job without recording, or the reverse: {each}" for each in recorded ^ video.states.keys()
    ]
    return faults


def _completions(data_dir: Path, audio: Folders, notes: Path) -> list[str]:
    faults = []
    for job_id, states in audio.states.items():
        events = _events(data_dir, job_id)
        if events["complete"] > 1 or (events["complete"] and states != [State.COMPLETED]):
            faults.append(f"completed {events['complete']} times, lies in {states}: {job_id}")
    told: dict[str, str] = {}
    for line in notes.read_text().splitlines():
        word, job_id, worker_id = line.split()
        if word == "completed":
            if told.setdefault(job_id, worker_id) != worker_id:
                faults.append(f"two workers were told that they completed {job_id}")
            if audio.states.get(job_id) != [State.COMPLETED]:
                faults.append(f"completion acknowledged and undone: {job_id}")
    return faults


def late(notes: Path, stops: int) -> list[str]:
    """Some who were stopped past their lease report all the same: if none was refused, nothing was tried."""
    refused = sum(line.startswith("refused ") for line in notes.read_text().splitlines())
    return ["no late completion was refused"] * (refused == 0 and stops >= ENOUGH_STOPS)


def _events(data_dir: Path, job_id: str) -> Counter[str]:
    log = data_dir / "logs" / f"{job_id}.jsonl"
    lines = log.read_text().splitlines() if log.exists() else []  # a log is no promise
    records = [json.loads(line) for line in lines]
    return Counter(record["event"] for record in records if record["kind"] == Kind.AUDIO)


def news(peer: Peer, customers: Customers, data_dir: Path) -> list[str]:
    """Each chat has one job, and hears of its end once; after a kill perhaps by the card alone."""
    heard = Counter(int(call.params["chat_id"]) for call in peer.calls() if _is_news(call))
    ended = [chat for chat, job_id in customers.chats.items() if _is_told(data_dir, job_id)]
    told = sum(heard[chat] == 1 for chat in ended)
    print(f"{told} of {len(ended)} chats had a message of the end, the others their status card alone")
    faults = [
        f"{heard[chat]} messages of the end of {customers.chats[chat]}" for chat in heard if heard[chat] > 1
    ]
    if len(ended) - told > len(ended) // 10:
        faults.append("more than a tenth of the ends were never told in a message")
    return faults


def _is_news(call: Call) -> bool:
    """A message that was sent and is no status card: only those say whether they shall make a sound."""
    is_sent = call.method.lower() in SENDING and call.status == 200
    return is_sent and "disable_notification" not in call.params


def _is_told(data_dir: Path, job_id: str) -> bool:
    """Whether the job ended in a way that is news: not called off by the person, no video after it."""
    ends = [(Kind.AUDIO, State.FAILED, job_id), (Kind.VIDEO, State.COMPLETED, video_job_id(job_id))]
    ends += [(Kind.VIDEO, State.FAILED, video_job_id(job_id))]
    if any((data_dir / f"{kind}-queue" / state / f"{each}.json").exists() for kind, state, each in ends):
        return True
    record = data_dir / f"{Kind.AUDIO}-queue" / State.COMPLETED / f"{job_id}.json"
    return record.exists() and "audio_path" not in json.loads(record.read_bytes())
