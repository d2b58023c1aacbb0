"""The whole bot, as `make run` runs it, with a watchdog in its event loop.

python -m bench.queues.watched_bot FILE     what the watchdog saw is written to FILE at the end
"""

import asyncio
import os
import sys
from pathlib import Path

import logs
import run_bot
from bench.queues.watchdog import Watchdog
from settings import BotSettings, load


async def main(settings: BotSettings, path: Path) -> None:
    watchdog = Watchdog()
    watching = asyncio.ensure_future(watchdog.watch())
    try:
        await run_bot.main(settings)
    finally:
        watching.cancel()
        watchdog.save(path)


if __name__ == "__main__":
    os.umask(0o077)
    bot_settings = load(BotSettings)
    logs.set_up(bot_settings.log_level, bot_settings.log_format, frozenset())
    asyncio.run(main(bot_settings, Path(sys.argv[1])))
