"""The control of the power cuts: jobs published without any sync, which a cut must show to be lost.

python -m tests.hardship.naive_queue FOLDER
"""

import json
import sys
import uuid
from pathlib import Path

from jobqueue.job import Kind
from jobqueue.lifecycle import State
from tests.hardship.busy_queue import READY, SCRIPT, say
from tests.hardship.claims import ACCEPTED


def main(data_dir: Path) -> None:
    for state in State:
        (data_dir / f"{Kind.AUDIO}-queue" / state).mkdir(parents=True)
    (data_dir / "corrupt").mkdir()
    say(READY, "now")
    while True:
        job_id = uuid.uuid4().hex
        place = data_dir / f"{Kind.AUDIO}-queue" / State.PENDING / f"{job_id}.json"
        with place.open("w") as file:
            json.dump({"job_id": job_id, "script_text": SCRIPT, "epoch": 1}, file)
        say(ACCEPTED, job_id)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
