import tracemalloc
import wave
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.audio.voices import RATE_HZ, tone
from workers.audio import assembly
from workers.audio.engine import Samples
from workers.audio.errors import RecordingTooLong
from workers.audio.sentences import Pause


def silence(seconds: float) -> Samples:
    return np.zeros(round(seconds * RATE_HZ), np.float32)


def wav(path: Path, samples: Samples, rate_hz: int = RATE_HZ) -> Path:
    assembly.write_wav(samples, path, rate_hz)
    return path


def samples_of(path: Path) -> Samples:
    with wave.open(str(path), "rb") as file:
        pcm = np.frombuffer(file.readframes(file.getnframes()), "<i2")
    return pcm.astype(np.float32) / np.float32(32_767)


def test_a_chunk_is_as_long_as_its_segments_and_pauses_together() -> None:
    pauses = [Pause.SOFT, Pause.SENTENCE, Pause.PARAGRAPH]
    chunk, unusable = assembly.join([tone(0.5), tone(0.3), tone(0.2)], pauses, RATE_HZ)
    assert len(chunk) / RATE_HZ == pytest.approx(1.0 + 0.12 + 0.35 + 0.70, abs=0.001)
    assert unusable == []


def test_silence_at_the_edges_is_trimmed_to_thirty_milliseconds() -> None:
    padded = np.concatenate([silence(0.4), tone(0.5), silence(0.9)])
    assert len(assembly.trimmed(padded, RATE_HZ)) / RATE_HZ == pytest.approx(0.5 + 2 * 0.03, abs=0.011)


def test_silence_within_a_segment_stays() -> None:
    spoken = np.concatenate([tone(0.3), silence(0.5), tone(0.3)])
    assert len(assembly.trimmed(spoken, RATE_HZ)) == len(spoken)


def test_no_click_is_heard_where_segments_meet_pauses() -> None:
    harsh = np.ones(RATE_HZ, np.float32)  # full scale up to the very edge: the worst there can be
    chunk, _ = assembly.join([harsh, -harsh], [Pause.SOFT, Pause.SOFT], RATE_HZ)
    assert np.abs(np.diff(chunk)).max() < 0.03
    assert chunk[0] == chunk[-1] == 0


@pytest.mark.parametrize(
    "broken",
    [
        np.zeros(0, np.float32),
        np.zeros(4_000, np.float32),
        np.full(4_000, np.nan, np.float32),
        np.full(4_000, np.inf, np.float32),
        tone(0.5, level=1e-5),
    ],
)
def test_a_segment_that_is_no_sound_leaves_its_pause_and_is_named(broken: Samples) -> None:
    pauses = [Pause.SOFT, Pause.SENTENCE, Pause.SOFT]
    chunk, unusable = assembly.join([tone(0.2), broken, tone(0.2)], pauses, RATE_HZ)
    assert unusable == [1]
    assert np.isfinite(chunk).all()
    assert len(chunk) / RATE_HZ == pytest.approx(0.4 + 0.12 + 0.35 + 0.12, abs=0.001)


def test_too_loud_a_segment_is_held_at_full_scale(tmp_path: Path) -> None:
    chunk, _ = assembly.join([tone(0.2, level=3)], [Pause.SOFT], RATE_HZ)
    heard = samples_of(wav(tmp_path / "loud.wav", chunk))
    assert 0.99 < np.abs(heard).max() <= 1
    assert np.sign(heard[np.abs(chunk) > 0.5]) == pytest.approx(np.sign(chunk[np.abs(chunk) > 0.5]))


@given(st.lists(st.integers(0, 400), max_size=5))
def test_segments_of_any_length_can_be_joined(lengths: list[int]) -> None:
    spoken = [tone(length / RATE_HZ) for length in lengths]
    chunk, unusable = assembly.join(spoken, [Pause.SOFT] * len(spoken), RATE_HZ)
    heard = sum(length for index, length in enumerate(lengths) if index not in unusable)
    assert len(chunk) == pytest.approx(heard + len(spoken) * 0.12 * RATE_HZ, abs=len(spoken))


def test_the_recording_is_its_parts_one_after_another(tmp_path: Path) -> None:
    sounds = [tone(0.3), tone(20, level=0.2), silence(0.1)]  # one longer than what is copied at once
    parts = [wav(tmp_path / f"{index}.wav", sound) for index, sound in enumerate(sounds)]
    duration_s = assembly.concatenate(parts, tmp_path / "all.wav", RATE_HZ)
    assert duration_s == pytest.approx(20.4)
    assert np.allclose(samples_of(tmp_path / "all.wav"), np.concatenate(sounds), atol=1e-4)
    assert assembly.is_recording(tmp_path / "all.wav", RATE_HZ)


def test_a_recording_that_no_wav_file_can_hold_is_refused(tmp_path: Path) -> None:
    part = wav(tmp_path / "part.wav", tone(1))
    with pytest.raises(RecordingTooLong):
        assembly.concatenate([part, part], tmp_path / "all.wav", RATE_HZ, limit_bytes=3 * RATE_HZ)


def test_a_stored_chunk_that_is_not_whole_is_told_from_one_that_is(tmp_path: Path) -> None:
    whole = wav(tmp_path / "whole.wav", tone(0.5))
    assert assembly.is_recording(whole, RATE_HZ)
    assert not assembly.is_recording(whole, 22_050)
    assert not assembly.is_recording(tmp_path / "missing.wav", RATE_HZ)
    assert not assembly.is_recording(wav(tmp_path / "empty.wav", silence(0)), RATE_HZ)


@given(size=st.integers(0, 8_043))
def test_no_cut_short_recording_passes(tmp_path_factory: pytest.TempPathFactory, size: int) -> None:
    path = wav(tmp_path_factory.getbasetemp() / "cut.wav", tone(0.5))
    path.write_bytes(path.read_bytes()[:size])
    assert not assembly.is_recording(path, RATE_HZ)


@given(st.binary(max_size=200))
def test_no_rubbish_passes_for_a_recording(tmp_path_factory: pytest.TempPathFactory, rubbish: bytes) -> None:
    path = tmp_path_factory.getbasetemp() / "rubbish.wav"
    path.write_bytes(rubbish)
    assert not assembly.is_recording(path, RATE_HZ)
    path.write_bytes(b"RIFF\xff\xff\xff\xffWAVE" + rubbish)
    assert not assembly.is_recording(path, RATE_HZ)


def test_memory_does_not_grow_with_the_recording(tmp_path: Path) -> None:
    part = wav(tmp_path / "part.wav", tone(20))
    tracemalloc.start()
    assembly.concatenate([part] * 100, tmp_path / "all.wav", RATE_HZ)
    _, peak_bytes = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert (tmp_path / "all.wav").stat().st_size > 30e6
    assert peak_bytes < 2e6
