from pathlib import Path

import pytest

from tests.video import media
from tests.video.studio import Studio
from workers.video.ffmpeg import FFmpeg


@pytest.fixture
def studio(tmp_path: Path) -> Studio:
    return Studio(tmp_path / "data")


@pytest.fixture
def ffmpeg() -> FFmpeg:
    return FFmpeg()


@pytest.fixture
def logging_ffmpeg(tmp_path: Path) -> Path:
    """The real FFmpeg, with each command line appended to `commands.txt` beside it."""
    script = tmp_path / "logging-ffmpeg"
    log = tmp_path / "commands.txt"
    script.write_text(f'#!/bin/sh\necho "$@" >> {log}\nexec {media.FFMPEG} "$@"\n')
    script.chmod(0o700)
    return script
