"""What the chat needs to be told, and how patient it is."""

from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Patience:
    """Waiting times, s; tests shorten those that are not counted on the injected clock."""

    edit_s: float = 10.0
    """Between two edits in one private chat (the chat contract)."""
    group_edit_s: float = 20.0
    """In a group, where Telegram allows about 20 messages a minute in all."""
    join_s: float = 2.0
    """How long the next piece of a split script may take; 0.6 s lost halves (hermes-agent#6891)."""
    stranger_s: float = 3600.0
    """Between two answers to the same stranger."""
    reconnect_cap_s: float = 60.0
    refused_token_s: float = 300.0
    """A refused token only a person can mend: looking seldom is enough."""
    poll_s: float = 30.0
    """How long Telegram holds a poll open."""
    stop_s: float = 4.0
    """What handlers in work are given at shutdown."""


@dataclass(frozen=True, slots=True)
class ChatSettings:
    """The part of the environment that the chat reads."""

    token: str = field(repr=False)
    """Empty: no Telegram."""
    api_url: str = "https://api.telegram.org"
    allowed_users: frozenset[int] = frozenset()
    admin_users: frozenset[int] = frozenset()
    """Admins are allowed too; with both empty nobody is."""
    script_min_chars: int = 200
    script_max_chars: int = 200_000
    max_attempts: int = 3
    patience: Patience = Patience()
