"""What is done to a command: killed at a random instant, its disk filled, its files damaged."""

import os
import signal
import subprocess
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from commands import LIMIT_SECONDS, Command, Numbers
from disk import Disk
from forked import Forked

Process = subprocess.Popen[str] | Forked

POLL_SECONDS = 0.003


@dataclass(frozen=True)
class Pace:
    """How long the command takes undisturbed, and when it begins to write, s."""

    whole: float
    first_file: float

    @property
    def writes(self) -> float:
        """Seconds from the first file to the end."""
        return self.whole - self.first_file

    def instant(self, rng: np.random.Generator) -> tuple[bool, float]:
        """Draw an instant: half of them count from the start, half from the first new file."""
        if rng.random() < 0.5:
            return False, float(rng.uniform(0, self.whole))
        return True, float(rng.uniform(0, self.writes))


def undisturbed(command: Command) -> tuple[Numbers, Pace]:
    """Run the command to its end, and return its result and its pace."""
    before, begun = changes(command.folder), time.monotonic()
    process = command.start()
    _until_it_writes(command, process, before)
    first = time.monotonic() - begun
    said = process.communicate(timeout=LIMIT_SECONDS)[1]
    assert process.returncode == 0, said
    return command.result(command.folder), Pace(time.monotonic() - begun, first)


def wait(command: Command, process: Process, instant: tuple[bool, float]) -> bool:
    """Wait for an instant of a process just started; False: it ended before."""
    from_first_file, seconds = instant
    if from_first_file:
        _until_it_writes(command, process, changes(command.folder))
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline and process.poll() is None:
        time.sleep(POLL_SECONDS)
    return process.poll() is None


def until(process: Process, there: Callable[[], object]) -> None:
    """Wait until something of a process just started is there, which must not end before."""
    while not there():
        assert process.poll() is None or there(), "".join(process.communicate())
        time.sleep(POLL_SECONDS)


def killed(command: Command, instant: tuple[bool, float]) -> bool:
    """Start it and kill it; nothing that was finished may be lost. False: it ended before."""
    before = command.finished(command.folder)
    process = command.start()
    wait(command, process, instant)
    died = kill(process)
    assert_kept(before, command.finished(command.folder))
    return died


def kill(process: Process) -> bool:
    """Kill it with `kill -9`; False: it had come to a good end before."""
    process.send_signal(signal.SIGKILL)
    said = process.communicate()[1]
    assert process.returncode in (0, -signal.SIGKILL), said
    return process.returncode != 0


def assert_kept(before: Numbers, now: Numbers) -> None:
    """Check that all that was finished is still there, with the same numbers."""
    lost = [name for name in before if now.get(name) != before[name]]
    assert not lost, f"finished before, now lost or changed: {lost}"


def assert_same(result: Numbers, expected: Numbers) -> None:
    """Check that a result is an undisturbed one's, naming what differs."""
    names = sorted(set(result) | set(expected))
    wrong = [name for name in names if result.get(name) != expected.get(name)]
    assert not wrong, f"not as in an undisturbed process: {wrong}"


def told(process_said: str, *words: str) -> str:
    """Check that the last line says what happened, without a traceback, and return it."""
    assert "Traceback" not in process_said, process_said
    last = process_said.strip().splitlines()[-1]
    assert any(word in last for word in words), process_said
    return last


def filled(command: Command, disk: Disk, instant: tuple[bool, float], left: int) -> str | None:
    """Fill the disk while the command runs; return what it said, None where it came to its end."""
    before = command.finished(command.folder)
    process = command.start()
    if wait(command, process, instant):
        disk.fill(left)
    said = "".join(process.communicate(timeout=LIMIT_SECONDS))
    disk.free()
    assert_kept(before, command.finished(command.folder))
    if process.returncode == 0:
        return None
    return told(said, "No space left", "MB are free", "MB left")


def flip_bytes(files: list[Path], rng: np.random.Generator) -> list[Path]:
    """Flip a bit of some bytes of one to three of the files; return which."""
    chosen = rng.choice(len(files), size=min(len(files), int(rng.integers(1, 4))), replace=False)
    for number in chosen:
        data = bytearray(files[number].read_bytes())
        for position in rng.integers(0, len(data), 8) if data else ():
            data[position] ^= 1 << int(rng.integers(8))
        files[number].write_bytes(bytes(data))
    return [files[number] for number in chosen]


def changes(folder: Path) -> dict[str, int]:
    """Return when each file was changed last, but for locks and the log."""
    found = {}
    for root, _, names in os.walk(folder):
        for name in names:
            if not name.startswith(".lock") and name != "run.log" and not name.endswith(".lock"):
                try:
                    found[f"{root}/{name}"] = os.stat(f"{root}/{name}").st_mtime_ns
                except FileNotFoundError:  # a temporary name
                    continue
    return found


def _until_it_writes(command: Command, process: Process, before: dict[str, int]) -> None:
    while process.poll() is None and changes(command.folder) == before:
        time.sleep(POLL_SECONDS)
