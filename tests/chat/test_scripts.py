"""What counts as a script, and what is said about everything else."""

import pytest

from bot.chat.documents import DocumentUnusable, decode, safe_name
from bot.chat.pieces import join
from bot.chat.scripts import title_of
from jobqueue.backend import Filter
from jobqueue.errors import QueueUnwritable
from jobqueue.job import Kind
from tests.chat.conftest import SCRIPT, Studio
from tests.telegram_peer import Fault, Person

pytestmark = pytest.mark.usefixtures("chat")
LONG = "".join(f"Sentence number {number} of a rather long script for narration. " for number in range(180))


async def scripts(studio: Studio) -> list[str]:
    page = await studio.queue.jobs(Filter(kind=Kind.AUDIO))
    return [view.job.text("script_text") for view in page.jobs]


async def test_pieces_that_telegram_cut_become_one_script(studio: Studio, ann: Person) -> None:
    ids = await ann.send(LONG)
    assert len(ids) == 3
    card = await ann.sees("characters")
    assert card.reply_to == ids[0]
    assert await scripts(studio) == [LONG.strip()]


async def test_the_last_piece_may_be_long_too(studio: Studio, ann: Person) -> None:
    await ann.send(LONG[:8192])
    await studio.until(lambda: len(list((studio.data_dir / "chat/inbox").glob("*.json"))) == 2, "two pieces")
    assert await scripts(studio) == []
    studio.clock.advance(2)
    await ann.sees("characters")
    assert await scripts(studio) == [LONG[:8192].strip()]
    await studio.until(lambda: not list((studio.data_dir / "chat/inbox").glob("*.json")), "the pieces done")


def test_a_word_cut_in_two_is_whole_again_and_words_cut_apart_stay_two() -> None:
    assert join(["a" * 4096, "bc"]) == "a" * 4096 + "bc"
    assert join(["a" * 4090, "bc"]) == "a" * 4090 + " bc"
    assert join(["a" * 4000 + ".", "Bc"]) == "a" * 4000 + ".\nBc"
    assert join(["क" * 4095 + "।", "ख"]) == "क" * 4095 + "। ख"
    assert join(["a" * 4095 + ".", "14"]) == "a" * 4095 + ".14"


async def test_a_short_text_is_asked_about_and_made_on_yes(studio: Studio, ann: Person) -> None:
    (message_id,) = await ann.send("A short story about the sea, told in one sentence only.")
    question = await ann.sees("Only 55 characters")
    assert question.reply_to == message_id
    assert await scripts(studio) == []
    await ann.press("Yes")
    card = await ann.sees("in the queue")
    assert card.reply_to == message_id
    assert await scripts(studio) == ["A short story about the sea, told in one sentence only."]
    settled = await ann.sees("All right")
    assert settled.id == question.id
    assert not settled.buttons


async def test_a_short_text_is_dropped_on_no(studio: Studio, ann: Person) -> None:
    await ann.send("thanks!")
    await ann.sees("Only 7 characters")
    await ann.press("No")
    await ann.sees("no video of it")
    assert await scripts(studio) == []


async def test_a_second_yes_makes_no_second_video(studio: Studio, ann: Person) -> None:
    await ann.send("A short story.")
    question = await ann.sees("Only 14")
    await ann.press_data(question.callbacks[0], question)
    await ann.press_data(question.callbacks[0], question)
    await ann.sees("in the queue", since=0)
    assert len(await scripts(studio)) == 1


async def test_someone_elses_question_cannot_be_decided(studio: Studio, ann: Person) -> None:
    group = studio.peer.person(ann.id, chat_id=-77)
    other = studio.peer.person(1002, chat_id=-77)
    await group.send("A short story.")
    question = await group.sees("Only 14")
    answer = await other.press("Yes", message=question)
    assert answer["show_alert"]
    assert await scripts(studio) == []


async def test_a_script_over_the_limit_is_refused(studio: Studio, ann: Person) -> None:
    await ann.send_file(b"word " * 40_001, "long.txt")
    await ann.sees("at most 200,000")
    assert await scripts(studio) == []


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
async def test_a_text_file_is_a_script(studio: Studio, ann: Person, encoding: str) -> None:
    story = "पहाड़ की हवा पुरानी कहानियाँ सुनाती है। " * 10
    await ann.send_file(story.encode(encoding), "कहानी.txt")
    await ann.sees("पहाड़ की हवा")
    assert await scripts(studio) == [story.strip()]


async def test_a_download_that_breaks_is_tried_again(studio: Studio, ann: Person) -> None:
    studio.peer.fault(Fault("truncate", "file"))
    await ann.send_file(SCRIPT.encode(), "a.md")
    await ann.sees("in the queue")


@pytest.mark.parametrize(
    ("name", "data", "said"),
    [
        ("empty.txt", b"\r\n ", "is empty"),
        ("photo.txt", b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR" * 50, "no text that I can read"),
        ("story.docx", b"PK", "cannot read story.docx"),
        ("x<b>&.srt", b"1", "cannot read x<b>&.srt"),
    ],
)
async def test_other_files_are_answered_in_a_sentence(
    studio: Studio, ann: Person, name: str, data: bytes, said: str
) -> None:
    await ann.send_file(data, name)
    message = await ann.sees(said)
    assert ".txt" in message.text or "again" in message.text
    assert await scripts(studio) == []


async def test_a_file_that_is_too_large_is_not_even_fetched(studio: Studio, ann: Person) -> None:
    await ann.send_file(b"x" * 300, "big.txt", claimed_bytes=2_000_001)
    await ann.sees("too large")
    assert not studio.peer.calls("getFile")


@pytest.mark.parametrize("kind", ["photo", "voice", "sticker"])
async def test_media_are_answered_with_what_can_be_sent(ann: Person, kind: str) -> None:
    fact = {"file_id": "a", "file_unique_id": "b", "width": 1, "height": 1, "duration": 1}
    sticker = fact | {"type": "regular", "is_animated": False, "is_video": False}
    await ann.send_media(kind, {"photo": [fact], "voice": fact, "sticker": sticker}[kind])
    await ann.sees("text only")


async def test_an_album_is_answered_once(studio: Studio, ann: Person) -> None:
    photo = [{"file_id": "a", "file_unique_id": "b", "width": 1, "height": 1}]
    for _ in range(3):
        await ann.send_media("photo", photo, media_group_id="7")
    await ann.send("/help")
    await ann.sees("How it works")
    assert len([message for message in ann.messages() if "text only" in message.text]) == 1


async def test_an_edited_script_is_never_a_second_one(studio: Studio, ann: Person) -> None:
    (message_id,) = await ann.send(SCRIPT)
    await ann.sees("in the queue")
    await ann.edit(message_id, SCRIPT + " More.")
    answer = await ann.sees("/cancel")
    assert "send it anew" in answer.text
    assert len(await scripts(studio)) == 1


async def test_an_edited_command_does_nothing(studio: Studio, ann: Person) -> None:
    (message_id,) = await ann.send("/help")
    await ann.sees("How it works")
    await ann.edit(message_id, "/queue")
    await ann.send("/workers")
    await ann.sees("Speech")
    assert not [message for message in ann.messages() if "The queue" in message.text]


async def test_a_disk_that_is_full_is_said_plainly(
    studio: Studio, ann: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def full(*_args: object, **_fields: object) -> None:
        raise QueueUnwritable("no space left on device")

    monkeypatch.setattr(studio.queue, "enqueue", full)
    await ann.send(SCRIPT)
    await ann.sees("could not be saved.*send it again")


async def test_a_long_text_may_begin_with_a_slash(studio: Studio, ann: Person) -> None:
    await ann.send("/home was where it began. " + SCRIPT)
    await ann.sees("in the queue")


def test_a_title_is_the_first_line_without_its_marks() -> None:
    assert title_of("# **The sea**\n\nIt was dark.") == "The sea"
    assert title_of("It was dark. " + "And then it rained for days. " * 9) == "It was dark."
    assert len(title_of("word " * 100)) <= 80
    assert title_of("") == ""


def test_a_file_name_keeps_no_folders_or_control_characters() -> None:
    assert safe_name("../../etc/pass\nwd.txt") == "passwd.txt"
    assert safe_name("C:\\a\\b.txt") == "b.txt"


def test_text_in_an_old_encoding_is_read() -> None:
    text = "Les élèves français étudient à l'école près du château fort. " * 5
    assert decode(text.encode("cp1252")) == text.strip()


def test_bytes_that_are_no_text_are_refused() -> None:
    with pytest.raises(DocumentUnusable):
        decode(bytes(range(256)) * 4)
