"""Fixtures for tests that run the real processes."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from jobqueue.client import Connection
from tests.system.machine import KEY, Machine


@pytest.fixture
async def machine(tmp_path: Path) -> AsyncIterator[Machine]:
    machine = Machine(tmp_path / "data")
    yield machine
    await machine.end()


@pytest.fixture
async def connection(machine: Machine) -> AsyncIterator[Connection]:
    async with Connection(machine.url, KEY) as connection:
        yield connection
