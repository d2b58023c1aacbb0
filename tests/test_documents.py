"""The documents tell the truth: what they list is what there is."""

import re
import subprocess
from pathlib import Path

from bot.endpoint.application import Endpoint, EndpointSettings
from bot.publishing.links import SignedLinks
from jobqueue.directory import DirectoryQueue
from jobqueue.lifecycle import TRANSITIONS
from settings import BotSettings, SharedSettings, WorkerSettings
from tests.clock import FakeClock

ROOT = Path(__file__).resolve().parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")


def section(title: str) -> str:
    return README.split(f"\n## {title}\n")[1].split("\n## ")[0]


def first_cells(text: str) -> list[str]:
    return [line.split("|")[1] for line in text.splitlines() if line.startswith("| ")]


def test_every_setting_stands_in_the_readme_once() -> None:
    listed = [name for cell in first_cells(section("Settings")) for name in re.findall(r"`([A-Z_]+)`", cell)]
    fields = {*BotSettings.model_fields, *WorkerSettings.model_fields, *SharedSettings.model_fields}
    assert sorted(listed) == sorted(name.upper() for name in fields)


def test_the_example_environment_names_only_settings() -> None:
    named = re.findall(r"^([A-Z_]+)=", (ROOT / ".env.example").read_text(), re.MULTILINE)
    assert {name.lower() for name in named} <= {*BotSettings.model_fields, *WorkerSettings.model_fields}


async def test_every_call_stands_in_the_readme_once(queue: DirectoryQueue, clock: FakeClock) -> None:
    endpoint = Endpoint(queue, SignedLinks(None, clock, "x"), clock, [], EndpointSettings("", 0, "x", 90))
    served = sorted(
        re.sub(r"\{(\w+):[^{}]*\}", r"{\1}", f"{route.method} {route.path}")
        .replace("{kind}", "{type}")
        .replace("{job_id}", "{id}")
        for route in endpoint.calls
    )
    listed = [cell.strip(" `") for cell in first_cells(section("For programs"))[2:]]
    assert sorted(listed) == served


def test_every_make_target_helps_itself() -> None:
    makefile = (ROOT / "Makefile").read_text()
    targets = re.search(r"^\.PHONY: (.*)$", makefile, re.MULTILINE)
    assert targets is not None
    helped = re.findall(r"^([a-z-]+):.*## ", makefile, re.MULTILINE)
    assert sorted(helped) == sorted(targets[1].split())
    used = set(re.findall(r"`?\bmake ([a-z-]+)\b", section("Two commands") + section("Development")))
    assert used <= set(helped)


def test_every_library_has_its_reason_in_the_readme() -> None:
    listed = {name for cell in first_cells(section("Development")) for name in re.findall(r"[\w.-]+", cell)}
    required = {
        re.split(r"[=\[]", line)[0]
        for name in ("requirements.txt", "requirements-dev.txt")
        for line in (ROOT / name).read_text().splitlines()
        if line and not line.startswith(("#", "-"))
    }
    assert {name for name in required if "stubs" not in name and not name.startswith("types-")} <= listed


def test_the_picture_of_a_jobs_life_is_the_table() -> None:
    picture = (ROOT / "ARCHITECTURE.md").read_text(encoding="utf-8")
    drawn = re.findall(r"^    (\w+) --> (\w+): ([\w ]+)$", picture, re.MULTILINE)
    assert sorted(drawn) == sorted((before, after, event) for (before, event), after in TRANSITIONS.items())


def test_every_file_the_architecture_names_exists() -> None:
    text = (ROOT / "ARCHITECTURE.md").read_text(encoding="utf-8")
    for name in re.findall(r"`((?:bot|jobqueue|workers)/[\w./]*)`", text):
        assert (ROOT / name).exists(), name


def test_no_file_holds_an_absolute_path_or_a_registry() -> None:
    tracked = subprocess.run(
        ["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=False
    ).stdout.split()
    forbidden = re.compile(r"/work/|/root/|pypi\.org|pythonhosted|deb\.debian\.org|registry\.npmjs")
    for name in tracked:
        path = ROOT / name
        if (
            path.suffix in (".py", ".md", ".txt", ".toml", ".sh", ".ftl", "")
            and path != Path(__file__)
            and path.is_file()
        ):
            assert not forbidden.search(path.read_text(encoding="utf-8", errors="replace")), name
