"""Telegram's errors as what they mean for a message: certainly not sent, refused for good, or unknown."""

import asyncio
import logging
import os
from collections.abc import Awaitable
from datetime import timedelta
from typing import Any, TypeVar

import httpx
from telegram import Message
from telegram.error import (
    BadRequest,
    ChatMigrated,
    Forbidden,
    InvalidToken,
    NetworkError,
    RetryAfter,
    TelegramError,
)

from bot.notifications import NotDelivered, OutcomeUnknown, Refused

log = logging.getLogger(__name__)
T = TypeVar("T")

NEVER_LEFT = (
    httpx.ConnectError,
    httpx.ConnectTimeout,
    httpx.PoolTimeout,
    httpx.WriteError,
    httpx.WriteTimeout,
    RuntimeError,  # the client is not connected yet, or any more
)
"""Telegram cannot have taken a request that ended so."""
CALL_TIMEOUT_S = 60.0
REPLY_WAITS_S = (1.0, 3.0, 9.0)
REPLY_WAIT_MAX_S = 30.0
"""Longer, and the person has asked again."""


class MessageGone(Exception):
    """The message to edit is not there any more."""


class TooLarge(NotDelivered):
    """Telegram does not take a file of this size."""


async def sending(call: Awaitable[T], *, timeout_s: float = CALL_TIMEOUT_S) -> T:
    """Make a call that must not be repeated blindly.

    Raises: NotDelivered, Refused, OutcomeUnknown; BadRequest where Telegram does not like
    the contents, so that the caller can send something simpler.
    """
    try:
        async with asyncio.timeout(timeout_s):
            return await call
    except BadRequest:
        raise
    except RetryAfter as error:
        raise NotDelivered(str(error), retry_after_s=retry_after_s(error)) from error
    except Forbidden as error:
        raise Refused(str(error)) from error
    except InvalidToken as error:
        # Its text may hold the token.
        raise NotDelivered("Telegram refuses BOT_TOKEN") from error
    except ChatMigrated as error:
        raise NotDelivered(f"the group has the new id {error.new_chat_id}; set that one") from error
    except TimeoutError as error:
        raise OutcomeUnknown(f"no answer within {timeout_s:.0f} s") from error
    except NetworkError as error:
        raise _network(error) from error
    except TelegramError as error:
        # Such as an answer that is not Telegram's, though the call may have gone through.
        raise OutcomeUnknown(str(error)) from error


async def reply(message: Message, text: str, **more: Any) -> None:
    """Answer a message; again, if Telegram surely did not take the answer. Raises: BadRequest."""
    for wait_s in (*REPLY_WAITS_S, None):
        try:
            await sending(message.reply_text(text, **more))
        except NotDelivered as error:
            if wait_s is None:
                log.warning("chat %d: an answer was given up: %s", message.chat.id, error)
                return
            await asyncio.sleep(min(max(wait_s, error.retry_after_s), REPLY_WAIT_MAX_S))
        except (Refused, OutcomeUnknown) as error:
            log.warning("chat %d: an answer may not have arrived: %s", message.chat.id, error)
            return
        else:
            return


async def editing(call: Awaitable[T], *, timeout_s: float = 20.0) -> T | None:
    """Make an edit, which may be repeated; "not modified" is fine. Raises: as sending; MessageGone."""
    try:
        return await sending(call, timeout_s=timeout_s)
    except BadRequest as error:
        # The library capitalises what the server says.
        text = str(error).lower()
        if "not modified" in text:
            return None
        if "message to edit not found" in text or "can't be edited" in text or "message_id_invalid" in text:
            raise MessageGone(text) from error
        raise


def retry_after_s(error: RetryAfter) -> float:
    """Seconds Telegram wants to be left alone."""
    wait = error.retry_after
    return wait.total_seconds() if isinstance(wait, timedelta) else float(wait)


def want_timedeltas() -> None:
    """Have the library give durations as timedelta, as its next versions will; else it warns each time."""
    os.environ.setdefault("PTB_TIMEDELTA", "true")


def _network(error: NetworkError) -> NotDelivered | OutcomeUnknown:
    if "too large" in str(error).lower():
        return TooLarge(str(error))
    cause = error.__cause__
    if cause is None or isinstance(cause, (*NEVER_LEFT, TelegramError)):
        # No cause: Telegram itself answered with an error. Unreadable, as a proxy's 502: likewise.
        return NotDelivered(str(error))
    return OutcomeUnknown(str(error))
