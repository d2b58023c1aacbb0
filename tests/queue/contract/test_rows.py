"""The tables in `rows` name tests that exist, and leave no hazard out."""

import re
from pathlib import Path

from tests.queue.contract import rows

TESTS = Path(__file__).resolve().parent.parent.parent
HAZARDS_KNOWN = 35


def test_each_row_names_tests_that_exist() -> None:
    there = {
        name
        for path in TESTS.rglob("test_*.py")
        for name in re.findall(r"^(?:async )?def (test_\w+)", path.read_text(encoding="utf-8"), re.MULTILINE)
    }
    named = {name for names in rows.ABILITIES.values() for name in names}
    named |= {name for _, names in rows.HAZARDS.values() for name in names}
    assert named - there == set()


def test_no_hazard_is_left_out() -> None:
    assert sorted({*rows.HAZARDS, *rows.ELSEWHERE}) == list(range(1, HAZARDS_KNOWN + 1))
