"""The picture of a video that has none: the channel and the title on a plain ground.

Drawn by FFmpeg's ass filter, since Pillow's own text layout tears Hindi syllables apart
unless the machine happens to have a certain library.
"""

import hashlib
import logging
from collections.abc import Mapping
from pathlib import Path
from xml.sax.saxutils import escape

import fontpkg_noto_sans_devanagari as noto
from PIL import ImageFont

from jobqueue.job import Job
from workers.video.ffmpeg import FFmpeg
from workers.video.preparation import Picture
from workers.video.standard import HEIGHT, WIDTH
from workers.video.tasks import to_the_end

log = logging.getLogger(__name__)

FONTS = Path(noto.ROOT) / "files"
TITLE_CHARACTERS = 120
WORD_CHARACTERS = 30
"""libass breaks lines at spaces alone; a longer word would leave the frame."""
JOINERS = "\u200c\u200d"
"""They have no shape of their own, yet decide how Hindi letters join."""
MISSING_GLYPH = "failed to find any fallback"
CARD = "card.png"

SCRIPT = f"""[Script Info]
ScriptType: v4.00+
PlayResX: {WIDTH}
PlayResY: {HEIGHT}
WrapStyle: 0
YCbCr Matrix: None

[V4+ Styles]
Format: Name, Fontname, Fontsize, PrimaryColour, Bold, Alignment, MarginL, MarginR, MarginV, Outline, Shadow
Style: Channel,{noto.FAMILY},84,&H0050B4F0,0,8,160,160,170,0,0
Style: Title,{noto.FAMILY},128,&H00F5F5F5,1,5,160,160,0,0,0

[Events]
Format: Layer, Start, End, Style, Text
"""
GROUND = f"color=c=0x10202C:s={WIDTH}x{HEIGHT},format=rgb24"
RULE = "drawbox=x=860:y=280:w=200:h=6:color=0xF0B450:t=fill"


def wording(job: Job) -> tuple[str, str]:
    """Channel and title for a job; where it tells no title, its date and number stand in."""
    name = job.profile.get("name")
    channel = _drawable(name if isinstance(name, str) else "") or _drawable(job.text("channel_code"))
    number = job.number("video_number")
    stand_in = " · ".join(
        part for part in (job.text("date"), "" if number is None else f"Video {number}") if part
    )
    return channel, _drawable(job.text("title")) or _drawable(stand_in) or channel or "Video"


async def draw(ffmpeg: FFmpeg, channel: str, title: str, work: Path) -> Picture:
    """Draw the card into the work folder. Raises: EncodeFailed, EncodeStalled, OSError."""
    environment = await to_the_end(_lay_out, channel, title, work)
    outcome = await ffmpeg.run(
        ["-f", "lavfi", "-i", f"{GROUND},{RULE},ass=card.ass", "-frames:v", "1", "-f", "image2", CARD],
        cwd=work,
        media_s=1,
        step="drawing the title card",
        environment=environment,
        options=("-hide_banner", "-loglevel", "info"),
    )
    if MISSING_GLYPH in outcome.log:
        log.warning("the title card has empty boxes: no font for some letter of %r", title)
    data = await to_the_end((work / CARD).read_bytes)
    return Picture(work / CARD, hashlib.sha256(data).hexdigest())


def _lay_out(channel: str, title: str, work: Path) -> Mapping[str, str]:
    """Write the text and a font configuration; returns the environment that makes FFmpeg use it."""
    lines = [
        f"Dialogue: 0,0:00:00.00,1:00:00.00,{style},{_escaped(text)}\n"
        for style, text in (("Channel", channel), ("Title", _shortened(title)))
    ]
    (work / "card.ass").write_text(SCRIPT + "".join(lines), encoding="utf-8")
    # Our own fonts and no others: the same card on every machine, and no silent empty
    # boxes on a server that has no fonts at all.
    folders = f"<dir>{escape(str(FONTS))}</dir><cachedir>{escape(str(work / 'fonts'))}</cachedir>"
    (work / "fonts.conf").write_text(f"<fontconfig>{folders}</fontconfig>\n", encoding="utf-8")
    return {"FONTCONFIG_FILE": str(work / "fonts.conf")}


def _shortened(title: str) -> str:
    words = [
        word if len(word) <= WORD_CHARACTERS else f"{word[: WORD_CHARACTERS - 1]}…" for word in title.split()
    ]
    text = " ".join(words)
    if len(text) <= TITLE_CHARACTERS:
        return text
    # At a space: a cut inside a word could tear a Hindi syllable apart.
    return text[:TITLE_CHARACTERS].rpartition(" ")[0] + " …"


def _escaped(text: str) -> str:
    r"""Text that libass takes literally: `\` begins a command and `{` an override block."""
    return text.replace("\\", "/").replace("{", r"\{").replace("}", r"\}")


def _drawable(text: str) -> str:
    """The text on one line, without what the font has no shape for (emoji, other scripts)."""
    font = ImageFont.truetype(str(next(FONTS.glob("*.ttf"))), 24, layout_engine=ImageFont.Layout.BASIC)
    empty_box = bytes(font.getmask("\U0010fffe"))
    kept = [
        each
        for each in " ".join(text.split())[: 4 * TITLE_CHARACTERS]
        if each in JOINERS or (each.isprintable() and bytes(font.getmask(each)) != empty_box)
    ]
    return " ".join("".join(kept).split())
