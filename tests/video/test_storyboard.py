"""Scenes divide a video evenly, to the frame."""

from itertools import pairwise
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from workers.video.preparation import Picture, evenly
from workers.video.scenes import LONGEST_CLIP, clips
from workers.video.storyboard import room, spread


def album(count: int) -> list[Picture]:
    return [Picture(Path(f"{number}.jpg"), f"{number}") for number in range(count)]


@given(count=st.integers(1, 60), spare=st.integers(0, 100_000))
def test_scenes_follow_each_other_without_gap_and_are_equally_long(count: int, spare: int) -> None:
    total = count + spare
    scenes = spread(album(count), total)
    lengths = [scene.frames for scene in scenes]
    assert [scene.picture.digest for scene in scenes] == [str(number) for number in range(count)]
    assert [scene.first_frame for scene in scenes] == [sum(lengths[:number]) for number in range(count)]
    assert sum(lengths) == total
    assert max(lengths) - min(lengths) <= 1


@given(frames=st.integers(1, 20_000))
def test_clips_make_up_their_scene_and_are_of_two_lengths_at_most(frames: int) -> None:
    parts = clips(spread(album(1), frames)[0])
    assert sum(part.frames for part in parts) == frames
    assert all(1 <= part.frames <= LONGEST_CLIP for part in parts)
    assert len(set(parts)) <= 2


@given(count=st.integers(1, 300), wanted=st.integers(1, 300))
def test_a_choice_is_even_and_keeps_the_order(count: int, wanted: int) -> None:
    chosen = [int(each.name) for each in evenly([Path(str(number)) for number in range(count)], wanted)]
    gaps = {after - before for before, after in pairwise(chosen)}
    assert len(chosen) == min(count, wanted)
    assert chosen[0] == 0
    assert min(gaps, default=1) >= 1
    assert max(gaps, default=0) - min(gaps, default=0) <= 1


def test_no_picture_is_seen_for_less_than_one_and_a_half_seconds() -> None:
    assert [room(frames) for frames in (1, 37, 74, 75, 1500)] == [1, 1, 1, 2, 40]
