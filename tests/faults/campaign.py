"""Rounds of the long campaign: each hits one command once or a few times and checks its laws."""

import contextlib
import shutil
import signal
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
from commands import Command, Numbers
from disk import missing, small_disk
from hits import (
    Pace,
    assert_same,
    changes,
    filled,
    flip_bytes,
    killed,
    told,
    undisturbed,
    wait,
)
from surroundings import TRACKED, clock_library, jumping_clock, silent_tracker
from workshop import Workshop

COMMANDS = ("fetch", "checkpoint", "search", "training")
FAULTS = ("kill", "full disk", "flipped bytes", "clock", "two processes", "read-only", "tracker")
ROW_OF_KILLS = 5  # in one folder, before the command is let to its end


class Bench:
    """Makes fresh folders of a command, and knows its undisturbed result.

    Args:
        make: returns the command for a folder.
        root: of the folders.
        rng: draws instants and damage.
    """

    def __init__(
        self, make: Callable[[Path], Command], root: Path, rng: np.random.Generator
    ) -> None:
        self.make, self.root, self.rng, self.number = make, root, rng, 0
        self.expected, self.pace = self._measured()

    def _measured(self) -> tuple[Numbers, Pace]:
        undisturbed(self.fresh())  # compiles what the later ones read
        return undisturbed(self.fresh())

    def fresh(self) -> Command:
        """Return the command for a folder that is not there yet."""
        self.number += 1
        folder = self.root / f"r{self.number}"
        shutil.rmtree(folder, ignore_errors=True)
        return self.make(folder)

    def goes_on(self, command: Command, **more: str) -> str:
        """Give the same command again: it comes to its end, with the undisturbed result."""
        code, said = command.whole(**more)
        assert code == 0, said
        assert_same(command.result(command.folder), self.expected)
        shutil.rmtree(command.folder, ignore_errors=True)
        return said

    def stopped(self) -> Command:
        """Return a command that was killed after it had written something."""
        while True:
            command = self.fresh()
            if killed(command, (True, float(self.rng.uniform(0.3, 0.9) * self.pace.writes))):
                return command


def kills(bench: Bench, number: int) -> Iterator[str]:
    """Kill at `number` random instants, a few in each folder."""
    done = 0
    while done < number:
        command, row = bench.fresh(), 0
        while row < ROW_OF_KILLS and done < number and killed(command, _instant(bench)):
            row, done = row + 1, done + 1
            yield "killed"
        bench.goes_on(command)


def _instant(bench: Bench) -> tuple[bool, float]:
    return bench.pace.instant(bench.rng)


def full_disk(bench: Bench, number: int) -> Iterator[str]:
    """Fill the disk at random instants, give the room back, and go on."""
    if reason := missing():
        yield f"not tried: {reason}"
        return
    for _ in range(number):
        with small_disk(bench.root / "disk") as disk:
            command = disk.moved(bench.make(disk.path / "r"))
            said = filled(command, disk, _instant(bench), int(bench.rng.integers(100_000)))
            bench.goes_on(command)
        yield said or "enough room to its end"


def flipped(bench: Bench, number: int, pattern: str) -> Iterator[str]:
    """Flip bytes in files of a stopped command's folder, and go on."""
    for _ in range(number):
        command = bench.stopped()
        files = sorted(p for p in command.folder.glob(pattern) if p.is_file() and p.stat().st_size)
        flip_bytes(files, bench.rng)
        said = bench.goes_on(command)
        lines = [x for x in said.splitlines() if "damaged" in x or "not as it was" in x]
        yield lines[0] if lines else "harmless: these bytes are not read again"


def clock(bench: Bench, number: int) -> Iterator[str]:
    """Set the clock to and fro while the command runs, is killed and goes on."""
    if clock_library() is None:
        yield "not tried: libfaketime is not installed"
        return
    for _ in range(number):
        with jumping_clock(bench.root, int(bench.rng.integers(1 << 30))) as jumping:
            command = bench.fresh()
            set_wrong = replace(command, environment=command.environment | jumping, fork=False)
            killed(set_wrong, _instant(bench))
            bench.goes_on(set_wrong)
        yield "the clock changes no number"


def two_processes(bench: Bench, number: int, refused: bool) -> Iterator[str]:
    """Start the same command beside itself: refused by name, or both come to the same end."""
    for _ in range(number):
        command = bench.fresh()
        first = command.start()
        wait(command, first, (True, float(bench.rng.uniform(0, 0.2) * bench.pace.writes)))
        code, said = command.whole()
        out, err = first.communicate()
        assert first.returncode == 0, out + err
        bench.goes_on(command)
        if refused:
            assert code == 1, said
            yield told(said, f"is in use by process {first.pid}")
        else:
            assert code == 0, said
            yield "both end with the same files"


def read_only(bench: Bench, number: int) -> Iterator[str]:
    """Make the disk of a stopped command read-only, and writable again."""
    if reason := missing():
        yield f"not tried: {reason}"
        return
    for _ in range(number):
        with small_disk(bench.root / "disk") as disk:
            command = disk.moved(bench.make(disk.path / "r"))
            while not killed(command, (True, float(bench.rng.uniform(0, bench.pace.writes)))):
                shutil.rmtree(command.folder)
            disk.mount_again("ro")
            before = changes(command.folder)
            code, said = command.whole()
            assert (code, changes(command.folder)) == (1, before), said
            disk.mount_again("rw")
            bench.goes_on(command)
        yield told(said, "ead-only file system", "cannot be")


def tracker(bench: Bench, number: int) -> Iterator[str]:
    """Track a run at a server that takes connections and never answers, or once."""
    for index in range(number):
        with silent_tracker(answers=index % 2 == 1) as environment:
            command = bench.fresh()
            tracked = replace(command, arguments=(*command.arguments, TRACKED))
            said = bench.goes_on(tracked, **environment)
        yield next(x for x in said.splitlines() if "W&B" in x)


def saving(workshop: Workshop, root: Path, rng: np.random.Generator, number: int) -> Iterator[str]:
    """Kill a process that does nothing but save checkpoints; each must be as it was saved."""
    command, newest = replace(workshop.saving(root / "saved"), fork=True), 0
    shutil.rmtree(command.folder, ignore_errors=True)
    for _ in range(number):
        process = command.start()
        wait(command, process, (True, float(rng.uniform(0, 2))))
        process.send_signal(signal.SIGKILL)
        out, err = process.communicate()
        assert process.returncode == -signal.SIGKILL, err
        restored = int(out.split()[1]) if out else newest  # it may be killed while it starts
        assert restored >= newest, f"step {newest} was complete, step {restored} came back"
        newest = newest_checkpoint(command.folder)
        yield "killed"


def damaged_saves(
    workshop: Workshop, root: Path, rng: np.random.Generator, number: int
) -> Iterator[str]:
    """Flip bytes in files of checkpoints; what comes back is exactly a step that was saved."""
    for _ in range(number):
        command = replace(workshop.saving(root / "damaged"), fork=True)
        shutil.rmtree(command.folder, ignore_errors=True)
        process = command.start()
        wait(command, process, (True, float(rng.uniform(1, 3))))
        process.kill()
        process.communicate()
        newest = command.folder / str(newest_checkpoint(command.folder))
        flip_bytes(sorted(p for p in newest.rglob("*") if p.is_file()), rng)
        code, said = replace(workshop.saving(command.folder, "once"), fork=True).whole()
        assert code == 0, said
        lines = [x for x in said.splitlines() if "damaged" in x]
        yield lines[0] if lines else "harmless: these bytes are not read again"


def newest_checkpoint(folder: Path) -> int:
    """Return the newest complete step."""
    with contextlib.suppress(FileNotFoundError):
        return max((int(p.name) for p in folder.iterdir() if p.name.isdigit()), default=0)
    return 0
