"""How long to wait before the next try: pure functions from an attempt number to a delay."""

import random


def backoff_s(failures: int, *, base_s: float, cap_s: float) -> float:
    """Exponential backoff with full jitter: uniform in [0, min(cap, base·2ⁿ)], n counted from 0.

    Source: "full jitter" spreads the retries of many clients best; AWS Architecture Blog,
    "Exponential Backoff And Jitter" (2015).
    """
    ceiling_s = min(cap_s, base_s * 2 ** min(max(failures - 1, 0), 32))
    return random.uniform(0, ceiling_s)  # noqa: S311  spreading load, not keeping secrets
