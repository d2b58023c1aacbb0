"""Fixtures shared by all tests."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from jobqueue.directory import DirectoryQueue
from tests.clock import FakeClock
from tests.profiles import PlainProfiles


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def data_dir(tmp_path: Path) -> Path:
    return tmp_path / "data"


@pytest.fixture
async def queue(data_dir: Path, clock: FakeClock) -> AsyncIterator[DirectoryQueue]:
    queue = DirectoryQueue(data_dir, PlainProfiles(), clock)
    await queue.open()
    yield queue
    await queue.close()
