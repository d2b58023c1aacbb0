"""The engine under test."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.clock import FakeClock
from tests.queue.engines import ENGINES, Engine


@pytest.fixture(params=ENGINES)
async def engine(request: pytest.FixtureRequest, tmp_path: Path, clock: FakeClock) -> AsyncIterator[Engine]:
    engine = ENGINES[request.param](tmp_path, clock)
    await engine.open()
    yield engine
    await engine.close()
