"""A clock that stands still until a test turns it."""


class FakeClock:
    def __init__(self, now: float = 1_780_000_000.0) -> None:
        self._now = now
        self._monotonic = 1000.0

    def now(self) -> float:
        return self._now

    def monotonic(self) -> float:
        return self._monotonic

    def advance(self, seconds: float) -> None:
        self._now += seconds
        self._monotonic += seconds

    def set_wall_clock(self, now: float) -> None:
        """The wall clock jumps; time itself does not."""
        self._now = now
