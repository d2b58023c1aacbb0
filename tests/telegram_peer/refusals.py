"""How the server says no."""

from typing import Any


class Refusal(Exception):
    """An answer with `ok: false`."""

    def __init__(self, code: int, text: str, **parameters: Any) -> None:
        super().__init__(text)
        self.code = code
        self.text = text
        self.parameters = parameters


class HungUp(Exception):
    """The connection closes without an answer."""


def bad(text: str) -> Refusal:
    return Refusal(400, f"Bad Request: {text}")
