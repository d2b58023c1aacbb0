"""Makes, revokes and lists the workers' own keys: `make worker-key`, `make worker-keys`."""

import argparse
import os
import sys

import filelock

from bot.endpoint.worker_keys import KeyFile, KeyNameRefused
from jobqueue.clock import SystemClock
from settings import SharedSettings, load
from stopping import give_up

HINT = """The key of {name} is shown this once, on the line below; only its hash is kept. On that machine:
FILE_SERVER_URL=… FILE_SERVER_API_KEY=… make worker
"""


def main(arguments: argparse.Namespace, keys: KeyFile) -> None:
    """Raises: KeyNameRefused; OSError and ValueError if the file cannot be read or written."""
    if arguments.action == "add":
        key = keys.add(arguments.name)
        print(HINT.format(name=arguments.name), file=sys.stderr, end="", flush=True)  # noqa: T201
        print(key)  # noqa: T201
    elif arguments.action == "revoke":
        keys.revoke(arguments.name)
        print(f"The key of {arguments.name} opens nothing any more.")  # noqa: T201
    else:
        show(keys)


def show(keys: KeyFile) -> None:
    known = keys.read()
    if not known:
        print("No worker has a key of its own: make worker-key NAME=gpu-1 makes one.")  # noqa: T201
    for key in sorted(known.values(), key=lambda key: key.created_at):
        end = f"revoked {key.revoked_at}" if key.revoked_at else "good"
        print(f"{key.name:32}  made {key.created_at}  {end}")  # noqa: T201


def read_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    actions = parser.add_subparsers(dest="action", required=True)
    for action in ("add", "revoke"):
        actions.add_parser(action).add_argument("name")
    actions.add_parser("list")
    return parser.parse_args()


if __name__ == "__main__":
    os.umask(0o077)
    try:
        main(read_arguments(), KeyFile(load(SharedSettings).data_dir, SystemClock()))
    except KeyNameRefused as error:
        give_up(str(error))
    except filelock.Timeout:
        give_up("another program is changing the keys: try again")
    except (OSError, ValueError) as error:
        give_up(f"the keys cannot be read or written: {error}")
