"""Take items by rename, which only one worker can win, and move them to done; then wait for more."""

import os
import pathlib
import socket
import time

queue = pathlib.Path("/queue")
me = socket.gethostname()
while True:
    for item in sorted((queue / "waiting").iterdir(), key=lambda path: int(path.name)):
        mine = queue / f"{item.name}.{me}"
        try:
            item.rename(mine)
        except FileNotFoundError:
            continue  # another worker was faster
        time.sleep(0.01)
        mine.write_text(me)
        os.rename(mine, queue / "done" / item.name)
        print(f"item {item.name} done", flush=True)
    time.sleep(0.2)
