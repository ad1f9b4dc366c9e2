"""Put numbered items into the queue, unless they are there already."""

import pathlib
import sys

queue = pathlib.Path("/queue")
for name in ("waiting", "done"):
    (queue / name).mkdir(exist_ok=True)
for number in range(int(sys.argv[1])):
    if not (queue / "done" / str(number)).exists():
        (queue / "waiting" / str(number)).touch()
print(f"{len(list((queue / 'waiting').iterdir()))} items are waiting")
