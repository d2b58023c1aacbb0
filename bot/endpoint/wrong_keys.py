"""Slows down whoever tries one key after another."""

import ipaddress
from collections import OrderedDict
from http import HTTPStatus

from bot.endpoint.problems import Problem
from jobqueue.clock import Clock

TRIES = 10
"""Wrong keys an address may show in one go, and then in each minute."""
REFILL_S = 60 / TRIES
ADDRESSES_MAX = 10_000
"""Addresses remembered: the one not heard of for longest is forgotten first."""


class WrongKeys:
    """A token bucket for each client address, on the monotonic clock.

    Only wrong keys are counted, and a right one always passes: the workers behind an ssh tunnel or a proxy
    share an address with whoever else comes through it, and must not be locked out by him. It costs nothing:
    a key has 256 random bits and cannot be guessed at any speed. This only keeps the noise down, so
    nothing is gained either by coming from more addresses than we remember.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._full_at: OrderedDict[str, float] = OrderedDict()
        """Monotonic seconds at which the address will have all its tries again."""

    def refuse(self, address: str, sentence: str) -> Problem:
        """What to answer to a wrong key: 401, or 429 once the address has used up its tries."""
        now = self._clock.monotonic()
        full_at = max(self._full_at.get(address, now), now) + REFILL_S
        wait_s = full_at - now - TRIES * REFILL_S
        if wait_s > 0:
            return Problem(
                HTTPStatus.TOO_MANY_REQUESTS,
                f"too many wrong keys from {address or 'this address'}: wait before trying another",
                headers={"Retry-After": str(int(wait_s) + 1)},
            )
        self._full_at[address] = full_at
        self._full_at.move_to_end(address)
        if len(self._full_at) > ADDRESSES_MAX:
            self._full_at.popitem(last=False)
        return unauthorized(sentence)


def unauthorized(sentence: str) -> Problem:
    return Problem(HTTPStatus.UNAUTHORIZED, sentence, headers={"WWW-Authenticate": "Bearer"})


def client_address(remote: str | None) -> str:
    """Who calls, as one text per customer: of IPv6 the /64, as anyone has 2⁶⁴ addresses below it."""
    try:
        address = ipaddress.ip_address((remote or "").partition("%")[0])
    except ValueError:
        return remote or ""
    if isinstance(address, ipaddress.IPv4Address):
        return str(address)
    if address.ipv4_mapped is not None:
        return str(address.ipv4_mapped)
    return str(ipaddress.ip_network((address, 64), strict=False)) if not address.is_loopback else str(address)
