"""Making Telegram fail on purpose."""

from dataclasses import dataclass


@dataclass(slots=True)
class Fault:
    """What goes wrong, with which calls, how often.

    Kinds: `429` (with `retry_after`), `http` (with `status`; 502 answers in HTML as the front proxy
    does), `drop` and `drop_after` (the connection closes before or after the call took effect),
    `delay` and `hang` (`seconds` late, or then no answer at all), `garbage` (200 that is no JSON),
    `truncate` (a download cut half way; method `file`).
    """

    kind: str
    method: str = "!poll"
    """A method's name, `!poll` (all but getUpdates), `*`, or `file`."""
    times: int = 1
    """0: until `clear_faults`."""
    skip: int = 0
    contains: str = ""
    retry_after: int = 1
    status: int = 502
    seconds: float = 1.0
    hits: int = 0

    def concerns(self, method: str, text: str) -> bool:
        """Whether this call is to fail; counts it if so."""
        name = method.lower()
        is_meant = {
            "*": name != "file",
            "!poll": name not in ("getupdates", "file"),
        }.get(self.method, name == self.method.lower())
        if not is_meant or self.contains not in text or (self.times and self.hits >= self.times):
            return False
        if self.skip:
            self.skip -= 1
            return False
        self.hits += 1
        return True

    @property
    def is_used_up(self) -> bool:
        return bool(self.times) and self.hits >= self.times
