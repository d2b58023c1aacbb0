"""What can go wrong between a script and its recording; each message is for the person who sent it."""

from jobqueue.errors import PermanentError


class SpeechError(Exception):
    """Any failure to turn a script into a recording."""


class NothingToSpeak(SpeechError, PermanentError):
    """The script holds no letter and no digit, in any alphabet."""

    def __init__(self) -> None:
        super().__init__(
            "There is nothing to speak in this script: no letters and no digits. Please send the text again."
        )


class VoiceUnusable(SpeechError, PermanentError):
    """The wanted voice cannot speak this script, however often it is tried."""

    def __init__(self, reason: str) -> None:
        """`reason`: a whole sentence that says what to change."""
        super().__init__(f"This voice cannot be used. {reason}")
        self.reason = reason


class RecordingTooLong(SpeechError, PermanentError):
    """The recording would not fit into a WAV file, whose header counts its bytes in 32 bits."""

    def __init__(self) -> None:
        super().__init__(
            "This script is too long for one recording (more than a day of speech). Please send it in parts."
        )


class EngineFailed(SpeechError):
    """The engine broke down or hung while it spoke; another attempt may succeed."""

    def __init__(self, reason: str) -> None:
        super().__init__(f"The voice program failed: {reason}.")
        self.reason = reason


class EngineOutOfMemory(SpeechError):
    """A batch did not fit into the engine's memory; the narrator tries it again in smaller batches."""

    def __init__(self, segments: int) -> None:
        super().__init__(
            "The machine that speaks ran out of memory. Another attempt, or a larger machine, may help."
        )
        self.segments = segments
