"""Which files of an image folder are looked at: never one outside images/."""

import os
from pathlib import Path

import pytest

from tests.video import media
from tests.video.studio import Studio, notes
from workers.video.album import find_pictures, natural, shown


def names(studio: Studio, folder: str = "nature") -> list[str]:
    return [each.name for each in find_pictures(studio.root / "images", folder).candidates]


def test_names_are_sorted_as_people_count() -> None:
    counted = ["1.jpg", "2.jpg", "10.jpg", "a.jpg", "B2.jpg", "b10.jpg", "b10a.jpg", "é.jpg"]
    assert [each.name for each in sorted(map(Path, reversed(counted)), key=natural)] == counted


def test_hidden_files_folders_and_pipes_are_passed_over(studio: Studio) -> None:
    studio.add("a.png", media.plain(media.RED))
    for name in (".hidden.jpg", "Thumbs.db", "desktop.ini"):
        (studio.pictures / name).write_text("x")
    (studio.pictures / "sub").mkdir()
    os.mkfifo(studio.pictures / "pipe.jpg")
    assert names(studio) == ["a.png"]


def test_a_link_is_followed_inside_images_and_nowhere_else(studio: Studio) -> None:
    (studio.root / "images" / "shared.png").write_text("x")
    (studio.root / "secret.png").write_text("x")
    (studio.pictures / "in.png").symlink_to("../shared.png")
    (studio.pictures / "out.png").symlink_to(studio.root / "secret.png")
    (studio.pictures / "ring.png").symlink_to("ring.png")
    found = find_pictures(studio.root / "images", "nature")
    assert [each.name for each in found.candidates] == ["in.png"]
    assert any(note.startswith("out.png was left out: it is a link") for note in found.notes)


@pytest.mark.parametrize("folder", ["..", "../files", "/etc", "nature/../..", ".", "a\0b", "way-out"])
async def test_a_folder_outside_images_is_refused_and_a_title_card_shown(studio: Studio, folder: str) -> None:
    (studio.root / "images" / "way-out").symlink_to("/etc")
    found = find_pictures(studio.root / "images", folder)
    assert found.candidates == ()
    assert "it leads out of images/" in found.notes[0]


async def test_a_job_that_asks_for_a_folder_outside_still_gets_its_video(studio: Studio) -> None:
    studio.record(0.5)
    result = await studio.make(image_folder="../files")
    assert studio.video.exists()
    assert notes(result)[1] == "The picture folder ../files is not allowed: it leads out of images/."


def test_a_name_is_shown_short_and_on_one_line() -> None:
    assert shown("a\nb\x1b.jpg") == "a?b?.jpg"
    assert shown("x" * 200) == "x" * 60 + "…"
    assert shown(os.fsdecode(b"\xff.jpg")) == "?.jpg"
