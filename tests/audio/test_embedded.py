import asyncio
import os
import signal
import subprocess
import sys
import textwrap
from pathlib import Path

import numpy as np
import pytest

from workers.audio.chunking import Segment, split
from workers.audio.embedded import ROOT, EmbeddedVoice
from workers.audio.engine import ReferenceVoice, Samples, Voice
from workers.audio.errors import EngineFailed, VoiceUnusable
from workers.audio.sentences import Pause

HINDI, ENGLISH = Voice("hi"), Voice("en")
HINDI_TEXT = "गंगा नदी हिमालय से निकलती है और मैदानों से होकर समुद्र तक जाती है।"
ENGLISH_TEXT = "The river rises in the mountains and flows through the plains to the sea."


def segments(*texts: str) -> list[Segment]:
    return [Segment(text, Pause.SENTENCE) for text in texts]


async def heard(text: str, voice: Voice) -> Samples:
    (samples,) = await EmbeddedVoice().speak(segments(text), voice)
    return samples


def seconds(samples: Samples) -> float:
    return len(samples) / EmbeddedVoice.rate_hz


def level_dbfs(samples: Samples) -> float:
    return float(10 * np.log10((samples.astype(np.float64) ** 2).mean()))


def program(body: str) -> tuple[str, ...]:
    """A child program that is not espeak; our process id comes as its argument."""
    return (sys.executable, "-c", textwrap.dedent(body))


class Pulse:
    """Tells whether a process lives: it holds a pipe open, which the kernel closes at its end."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / "pulse"
        os.mkfifo(self._path)
        self._reader = os.open(self._path, os.O_RDONLY | os.O_NONBLOCK)
        self.program = program(f"""
            import os, signal, sys
            from workers.audio.espeak_child import die_with_parent
            die_with_parent(int(sys.argv[1]))
            os.write(os.open({str(self._path)!r}, os.O_WRONLY), b"%d\\n" % os.getpid())
            signal.pause()
        """)

    async def began(self) -> int:
        """The id of the process, once it runs."""
        readable = asyncio.Event()
        loop = asyncio.get_running_loop()
        loop.add_reader(self._reader, readable.set)
        await readable.wait()
        loop.remove_reader(self._reader)
        return int(os.read(self._reader, 100))

    def has_ended(self) -> bool:
        """Whether nobody holds the pipe open any more."""
        try:
            while os.read(self._reader, 100):
                pass
        except BlockingIOError:
            return False
        return True

    def wait_for_end(self) -> None:
        os.set_blocking(self._reader, True)
        while os.read(self._reader, 100):
            pass

    def close(self) -> None:
        os.close(self._reader)


@pytest.fixture
def pulse(tmp_path: Path) -> "Pulse":
    return Pulse(tmp_path)


@pytest.mark.parametrize(("text", "voice"), [(HINDI_TEXT, HINDI), (ENGLISH_TEXT, ENGLISH)])
async def test_a_sentence_becomes_speech_of_plausible_length_and_loudness(text: str, voice: Voice) -> None:
    speech = await heard(text, voice)
    assert speech.dtype == np.float32
    assert speech.ndim == 1
    assert 8 < len(text) / seconds(speech) < 22, "characters per second"
    assert -32 < level_dbfs(speech) < -10
    assert np.abs(speech).max() <= 1


async def test_a_batch_gives_one_recording_for_each_segment_in_order() -> None:
    texts = ["One.", "Two words and a few more to follow.", HINDI_TEXT, "😀", "Four."]
    batch = await EmbeddedVoice().speak(segments(*texts), ENGLISH)
    for text, speech in zip(texts, batch, strict=True):
        # Not to the sample: the program remembers a little of what it said before.
        assert seconds(speech) == pytest.approx(seconds(await heard(text, ENGLISH)), rel=0.03)


async def test_hindi_in_an_english_job_is_read_by_the_hindi_voice() -> None:
    assert np.array_equal(await heard(HINDI_TEXT, ENGLISH), await heard(HINDI_TEXT, HINDI))


async def test_english_words_in_a_hindi_sentence_are_spoken() -> None:
    without = await heard("आज हम और की बात करेंगे", HINDI)
    mixed = await heard("आज हम machine learning और robots की बात करेंगे", HINDI)
    assert seconds(mixed) > seconds(without) + 1


async def test_every_word_adds_to_the_length() -> None:
    lengths = [seconds(await heard(" ".join(["नदी"] * count), HINDI)) for count in (5, 10, 20)]
    assert lengths == sorted(lengths)
    assert lengths[2] == pytest.approx(2 * lengths[1], rel=0.2)


async def test_speed_is_a_factor_on_the_rate_of_speech() -> None:
    normal, fast = await heard(ENGLISH_TEXT, ENGLISH), await heard(ENGLISH_TEXT, Voice("en", speed=1.5))
    assert seconds(normal) / seconds(fast) == pytest.approx(1.5, rel=0.15)


@pytest.mark.parametrize("text", ["😀🎉", "*** --- ...", "।", "!?", "\u200d\ufe0f", "\ud83d", "\x00"])
async def test_what_has_no_words_gives_no_sound_and_no_error(text: str) -> None:
    assert (await heard(text, HINDI)).size == 0


async def test_markup_is_read_and_not_obeyed() -> None:
    plain = await heard("loud words here", ENGLISH)
    marked = await heard('<speak><prosody rate="x-fast">loud words here</prosody></speak>', ENGLISH)
    assert seconds(marked) > seconds(plain) + 1
    assert seconds(await heard("a <break time='60s'/> b", ENGLISH)) < 10
    assert seconds(await heard("A &amp; B", ENGLISH)) > seconds(await heard("A B", ENGLISH))


async def test_what_follows_a_nul_is_spoken_too() -> None:
    assert np.array_equal(await heard("one\x00two", ENGLISH), await heard("one two", ENGLISH))


@pytest.mark.parametrize(
    "text",
    [
        *("x" * 5_000, "क" * 5_000, "क्" * 2_500, "7" * 5_000, "a\u0301" * 2_000, "(" * 3_000 + "a"),
        *("مرحبا بالعالم", "日本語", "\u202eabc\u202c", "ab\ud83dcd"),
        *("[[h@loU]] \x01+50S", "<" * 500 + "a", "%s%n%d a"),
    ],
)
async def test_strange_text_neither_crashes_nor_hangs_it(text: str) -> None:
    assert (await heard(text, HINDI)).size > 0


async def test_no_segment_of_a_long_script_is_left_out() -> None:
    (chunk,) = split(f"{HINDI_TEXT} {ENGLISH_TEXT} " * 3, 10_000)
    assert all(speech.size for speech in await EmbeddedVoice().speak(chunk.segments, HINDI))


async def test_a_language_it_does_not_speak_is_refused_for_good() -> None:
    with pytest.raises(VoiceUnusable, match="Hindi and English"):
        await EmbeddedVoice().speak(segments("Bonjour"), Voice("fr"))


async def test_a_reference_voice_is_ignored() -> None:
    reference = ReferenceVoice(Path("nowhere.wav"), "words", "0" * 64)
    assert not EmbeddedVoice.imitates
    assert (await heard("Hello", Voice("en", reference))).size


async def test_a_child_that_crashes_is_an_error_with_its_last_words() -> None:
    crashing = program("import sys; sys.exit('first line\\nno such data folder')")
    with pytest.raises(EngineFailed, match="no such data folder"):
        await EmbeddedVoice(program=crashing).speak(segments("Hello"), ENGLISH)


async def test_a_child_that_dies_without_a_word_is_an_error_too() -> None:
    dying = program("import os; os.abort()")
    with pytest.raises(EngineFailed, match=f"signal {signal.SIGABRT.value}"):
        await EmbeddedVoice(program=dying).speak(segments("Hello"), ENGLISH)


@pytest.mark.parametrize("answer", [b"", b"\x08\0\0\0\1\2", b"\2\0\0\0\1\2" * 2, b"\1"])
async def test_an_answer_cut_short_is_an_error(answer: bytes) -> None:
    garbled = program(f"import sys; sys.stdout.buffer.write({answer!r})")
    with pytest.raises(EngineFailed, match="cut short"):
        await EmbeddedVoice(program=garbled).speak(segments("Hello"), ENGLISH)


async def test_a_child_that_hangs_is_ended(pulse: Pulse) -> None:
    with pytest.raises(EngineFailed, match="no answer"):
        await EmbeddedVoice(program=pulse.program, patience_s=0.5).speak(segments("Hello"), ENGLISH)
    assert pulse.has_ended()
    pulse.close()


async def test_cancelling_ends_the_child_before_it_returns(pulse: Pulse) -> None:
    speaking = asyncio.ensure_future(EmbeddedVoice(program=pulse.program).speak(segments("Hello"), ENGLISH))
    child_pid = await pulse.began()
    speaking.cancel()
    with pytest.raises(asyncio.CancelledError):
        await speaking
    assert pulse.has_ended()
    with pytest.raises(ProcessLookupError):
        os.kill(child_pid, 0)
    pulse.close()


async def test_a_worker_that_is_killed_outright_takes_its_child_along(pulse: Pulse) -> None:
    worker = f"""
        import asyncio
        from workers.audio.chunking import Segment
        from workers.audio.embedded import EmbeddedVoice
        from workers.audio.engine import Voice
        speak = EmbeddedVoice(program={pulse.program!r}).speak([Segment("Hello", "soft")], Voice("en"))
        asyncio.run(speak)
    """
    with subprocess.Popen(program(worker), cwd=ROOT) as process:
        await pulse.began()
        process.kill()
        process.wait()
    pulse.wait_for_end()  # hangs, and fails by timeout, if the child lives on
    pulse.close()
