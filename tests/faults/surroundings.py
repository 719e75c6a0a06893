"""What hangs or jumps around a command: a tracker that never answers, a clock that is set."""

import os
import random
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

LIBRARIES = "*/faketime/libfaketimeMT.so.1"  # Debian's package libfaketime
JUMPS_SECONDS = (-40 * 86400, 40 * 86400)  # over what the cache calls old
KEY = 40 * "f"  # of the form of a W&B key
TRACKED = "trackers.wandb.mode=online"


@contextmanager
def silent_tracker(answers: bool = False) -> Iterator[dict[str, str]]:
    """Listen as a W&B server that takes every connection and never answers.

    Args:
        answers: the first look at it is answered, what comes after is not.

    Yields:
        The environment of a run that is tracked there.
    """
    taken: list[socket.socket] = []
    with socket.create_server(("127.0.0.1", 0)) as server:
        thread = threading.Thread(target=_take, args=(server, taken, answers), daemon=True)
        thread.start()
        yield {
            "WANDB_API_KEY": KEY,
            "WANDB_BASE_URL": f"http://127.0.0.1:{server.getsockname()[1]}",
        }
        server.shutdown(socket.SHUT_RDWR)
        thread.join()
    for connection in taken:
        connection.close()


def _take(server: socket.socket, taken: list[socket.socket], answers: bool) -> None:
    with suppress(OSError):  # the listener is shut down
        while True:
            connection, _ = server.accept()
            taken.append(connection)
            if answers and connection.recv(4096).startswith(b"GET / "):
                connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")


def clock_library() -> Path | None:
    """Return the library that sets a process's clock, where it is installed."""
    return next(iter(sorted(Path("/usr/lib").glob(LIBRARIES))), None)


@contextmanager
def jumping_clock(folder: Path, seed: int, every: float = 0.5) -> Iterator[dict[str, str]]:
    """Set the clock of a process to and fro; the monotonic clock and files' times stay.

    Args:
        folder: of the file that says how far the clock is off.
        seed: of the jumps.
        every: mean time between jumps, s.

    Yields:
        The environment of the process.
    """
    library, told, stop = clock_library(), folder / "clock", threading.Event()
    assert library is not None
    draw = random.Random(seed)

    def jump() -> None:
        while True:
            partial = told.with_suffix(".partial")
            partial.write_text(f"{draw.uniform(*JUMPS_SECONDS):+.0f}")
            os.replace(partial, told)
            if stop.wait(draw.expovariate(1 / every)):
                return

    thread = threading.Thread(target=jump, daemon=True)
    thread.start()
    while not told.exists():
        time.sleep(0.01)
    yield {
        "LD_PRELOAD": str(library),
        "FAKETIME_TIMESTAMP_FILE": str(told),
        "FAKETIME_CACHE_DURATION": "1",
        "FAKETIME_DONT_FAKE_MONOTONIC": "1",
        "DONT_FAKE_MONOTONIC": "1",
        "NO_FAKE_STAT": "1",
    }
    stop.set()
    thread.join()
