"""Channels for tests that are not about channels."""

from collections.abc import Mapping

from jobqueue.job import Json


class PlainProfiles:
    """Every channel has the same settings and the same day."""

    default_code = "MAIN"

    def __init__(self, profile: Mapping[str, Json] | None = None, today: str = "2026-11-22") -> None:
        self._profile = dict(profile or {"language": "auto", "image_folder": "nature"})
        self._today = today

    def profile(self, code: str) -> Mapping[str, Json]:
        return self._profile

    def today(self, code: str) -> str:
        return self._today
