"""The program that speaks: `python -m workers.audio.espeak_child PARENT_PID`, espeak-ng in its own process.

A separate program because the library is GPL, is one per process, and is C: if it crashes, it must not take
the worker along. It reads one JSON list `[{"text", "voice", "words_per_minute"}]` from standard input and
writes for each item four bytes (little-endian count of bytes) and that much PCM: signed 16 bit, mono,
22,050 Hz. On any failure it ends with a code other than 0 and its reason as the last line of standard error.
"""

import ctypes
import json
import os
import signal
import struct
import sys
from typing import Any

import espeakng_loader

RATE_HZ = 22_050
COUNT = struct.Struct("<I")

# From espeak-ng's speak_lib.h.
AUDIO_OUTPUT_SYNCHRONOUS = 2
INITIALIZE_DONT_EXIT = 0x8000
CHARS_UTF8 = 1
POSITION_CHARACTER = 1
PARAMETER_RATE = 1
SynthCallback = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_void_p, ctypes.c_int, ctypes.c_void_p)

PR_SET_PDEATHSIG = 1  # linux/prctl.h


class Speaker:
    """The library, initialised; speaks one text after another."""

    def __init__(self) -> None:
        self._library = ctypes.CDLL(espeakng_loader.get_library_path())
        data = espeakng_loader.get_data_path().encode()
        rate_hz = self._library.espeak_Initialize(AUDIO_OUTPUT_SYNCHRONOUS, 0, data, INITIALIZE_DONT_EXIT)
        if rate_hz != RATE_HZ:
            raise RuntimeError(f"espeak-ng began with {rate_hz}, not {RATE_HZ} Hz")
        self._heard = bytearray()
        self._callback = SynthCallback(self._hear)  # held here: C does not keep it alive
        self._library.espeak_SetSynthCallback(self._callback)

    def speak(self, text: str, voice: str, words_per_minute: int) -> bytes:
        """PCM of the text; empty if nothing in it can be spoken. Raises: RuntimeError."""
        if self._library.espeak_SetVoiceByName(voice.encode()):
            raise RuntimeError(f"espeak-ng has no voice {voice!r}")
        self._library.espeak_SetParameter(PARAMETER_RATE, words_per_minute, 0)
        self._heard.clear()
        line = text.encode(errors="replace") + b"\0"
        size_bytes = ctypes.c_size_t(len(line))
        failure = self._library.espeak_Synth(
            line, size_bytes, 0, POSITION_CHARACTER, 0, CHARS_UTF8, None, None
        )  # no SSML flag: `<speak>` in a script is text, not markup
        failure = failure or self._library.espeak_Synchronize()
        if failure:
            raise RuntimeError(f"espeak-ng could not speak (code {failure})")
        return bytes(self._heard)

    def _hear(self, samples: int | None, count: int, _events: int | None) -> int:
        if samples and count > 0:
            self._heard += ctypes.string_at(samples, count * 2)
        return 0


def die_with_parent(parent_pid: int) -> None:
    """A worker that is killed outright cannot clean up: let the kernel end this process with it."""
    if sys.platform != "linux":
        return
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent_pid:  # it died before the line above
        os.kill(os.getpid(), signal.SIGKILL)


def main() -> None:
    """Speak what standard input asks for."""
    die_with_parent(int(sys.argv[1]))
    wanted: list[dict[str, Any]] = json.load(sys.stdin.buffer)
    speaker = Speaker()
    for item in wanted:
        sound = speaker.speak(item["text"], item["voice"], item["words_per_minute"])
        sys.stdout.buffer.write(COUNT.pack(len(sound)) + sound)
    sys.stdout.buffer.flush()


if __name__ == "__main__":
    main()
