"""Reads what is in a media file: its own header, and every packet."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Header:
    """What the file says of itself, which is what a player shows before playing."""

    length_s: float
    size: tuple[int, int]
    """Width and height, px."""
    fps: float


@dataclass(slots=True)
class Track:
    """One stream, counted packet by packet."""

    facts: dict[str, str] = field(default_factory=dict)
    """As FFmpeg's framecrc muxer names them: media_type, codec_id, dimensions, sample_rate …"""
    packets: int = 0
    starts_s: float = 0.0
    """When the first packet is shown, s."""
    ends_s: float = 0.0
    """When the last packet is over, s."""
    even: bool = True
    """Whether packets of equal length follow each other without gap or overlap, in order of decoding."""
    _next_dts: int | None = None

    def add(self, dts: int, pts: int, length: int, tick_s: float) -> None:
        """Count one packet; times in ticks."""
        self.even = self.even and self._next_dts in (None, dts)
        self._next_dts = dts + length
        self.starts_s = pts * tick_s if self.packets == 0 else min(self.starts_s, pts * tick_s)
        self.ends_s = max(self.ends_s, (pts + length) * tick_s)
        self.packets += 1


def header(place: Path) -> Header | None:
    """Read a file's header; None if it has none. Blocking. For files of our own making only."""
    # Imported when the first video is done: it takes a third of the time in which the bot starts.
    from moviepy.video.io.ffmpeg_reader import ffmpeg_parse_infos  # noqa: PLC0415

    try:
        infos = ffmpeg_parse_infos(str(place))
        width, height = infos["video_size"]
        return Header(float(infos["duration"]), (int(width), int(height)), float(infos["video_fps"]))
    except (OSError, KeyError, TypeError, ValueError):
        return None


def tracks(listing: Path) -> Mapping[int, Track]:
    """Read what `-c copy -f framecrc` wrote, by stream number. Blocking.

    Lines are `#fact stream: value` first, then `stream, dts, pts, length, bytes, checksum`.
    """
    found: dict[int, Track] = {}
    ticks: dict[int, float] = {}
    with listing.open(encoding="utf-8", errors="replace") as lines:
        for line in lines:
            if line.startswith("#"):
                name, _, value = line[1:].partition(":")
                fact, _, number = name.rpartition(" ")
                if number.isdigit():
                    found.setdefault(int(number), Track()).facts[fact] = value.strip()
                continue
            stream, dts, pts, length = (int(each) for each in line.split(",")[:4])
            if stream not in ticks:
                above, _, below = found[stream].facts["tb"].partition("/")
                ticks[stream] = int(above) / int(below)
            found[stream].add(dts, pts, length, ticks[stream])
    return found
