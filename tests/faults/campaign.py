"""Hits of the long campaign: each hits one command once or a few times and checks its laws.

A hit returns what came of it and fails by an `AssertionError`; `None`: it came too late to count.
"""

import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
from commands import Command, complete_steps
from disk import missing, small_disk
from hits import (
    assert_same,
    changes,
    filled,
    flip_bytes,
    kill,
    killed,
    told,
    undisturbed,
    until,
    wait,
)
from surroundings import TRACKED, clock_library, jumping_clock, silent_tracker

COMMANDS = ("fetch", "checkpoint", "search", "training")
FAULTS = ("kill", "full disk", "flipped bytes", "clock", "two processes", "read-only", "tracker")
KILLS_IN_A_ROW = 5  # in one folder, before the command is let to its end
UNHARMED = "said nothing: these bytes are not needed again, its end is the same"


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
        self.row: tuple[Command, int] | None = None  # a folder that has been killed in, how often
        self.expected, self.pace = undisturbed(self.fresh())

    def measure_again(self) -> None:
        """Take the pace again: the machine is less busy than it was."""
        result, self.pace = undisturbed(self.fresh())
        assert_same(result, self.expected)

    def fresh(self) -> Command:
        """Return the command for a folder that is not there yet."""
        self.number += 1
        folder = self.root / f"r{self.number}"
        shutil.rmtree(folder, ignore_errors=True)
        return self.make(folder)

    def instant(self) -> tuple[bool, float]:
        """Draw an instant of the command's time."""
        return self.pace.instant(self.rng)

    def writing(self, first: float, last: float) -> tuple[bool, float]:
        """Draw an instant between two parts of the time in which it writes."""
        return True, float(self.rng.uniform(first, last) * self.pace.writes)

    def goes_on(self, command: Command, **more: str) -> str:
        """Give the same command again: it comes to its end, with the undisturbed result."""
        code, said = command.whole(**more)
        assert code == 0, said
        assert_same(command.result(command.folder), self.expected)
        shutil.rmtree(command.folder, ignore_errors=True)
        return said


def kill_at_random(bench: Bench) -> str | None:
    """Kill once, several times in one folder, and let the command to its end now and then."""
    command, kills = bench.row or (bench.fresh(), 0)
    bench.row = None
    died = killed(command, bench.instant())
    kills += died
    if not died or kills == KILLS_IN_A_ROW:
        bench.goes_on(command)
        if not died:
            bench.measure_again()
        return "killed, then gone on to its end" if died else None
    bench.row = command, kills
    return "killed"


def end_of_kills(bench: Bench) -> None:
    """Let what was killed last go on to its end."""
    if bench.row is not None:
        bench.goes_on(bench.row[0])
        bench.row = None


def full_disk(bench: Bench) -> str | None:
    """Fill the disk at a random instant, give the room back, and go on."""
    if reason := missing():
        return f"not tried: {reason}"
    with small_disk(bench.root / "disk") as disk:
        command = disk.moved(bench.make(disk.path / "r"))
        said = filled(command, disk, bench.instant(), int(bench.rng.integers(100_000)))
        bench.goes_on(command)
    if said is None:  # there was room to its end
        bench.measure_again()
    return said


def flipped(bench: Bench, pattern: str) -> str | None:
    """Flip bytes in files of a stopped command's folder, and go on.

    The oldest checkpoint is spared: without a sound one a training refuses to go on.
    """
    command = bench.fresh()
    if not killed(command, bench.writing(0.3, 0.9)):
        return None
    files = [p for p in sorted(command.folder.glob(pattern)) if p.is_file() and p.stat().st_size]
    checkpoints = command.folder / "checkpoints"
    spared = checkpoints / str(min(complete_steps(checkpoints), default=0))
    files = [path for path in files if spared not in path.parents]
    if not files:
        return None
    flip_bytes(files, bench.rng)
    return _told_of_damage(bench.goes_on(command))


def _told_of_damage(said: str) -> str:
    lines = [x for x in said.splitlines() if "is damaged" in x or "not as it was" in x]
    return lines[0] if lines else UNHARMED


def clock(bench: Bench) -> str:
    """Set the clock to and fro while the command runs, is killed and goes on."""
    if clock_library() is None:
        return "not tried: libfaketime is not installed"
    with jumping_clock(bench.root, int(bench.rng.integers(1 << 30))) as jumping:
        command = bench.fresh()
        set_wrong = replace(command, environment=command.environment | jumping, fork=False)
        killed(set_wrong, bench.instant())
        bench.goes_on(set_wrong)
    return "ended with the same numbers"


def two_processes(bench: Bench, refused: bool) -> str | None:
    """Start the same command beside itself: refused by name, or both come to the same end."""
    command = bench.fresh()
    first = command.start()
    wait(command, first, bench.writing(0, 0.2))
    code, said = command.whole()
    if refused and code == 0 and first.poll() is not None:
        return None  # the first had ended
    out, err = first.communicate()
    assert first.returncode == 0, out + err
    bench.goes_on(command)
    if refused:
        assert code == 1, said
        return told(said, f"is in use by process {first.pid}")
    assert code == 0, said
    return "both end with the same files"


def read_only(bench: Bench) -> str | None:
    """Make the disk of a stopped command read-only, and writable again."""
    if reason := missing():
        return f"not tried: {reason}"
    with small_disk(bench.root / "disk") as disk:
        command = disk.moved(bench.make(disk.path / "r"))
        if not killed(command, bench.writing(0, 1)):
            return None
        disk.mount_again("ro")
        before = changes(command.folder)
        code, said = command.whole()
        assert (code, changes(command.folder)) == (1, before), said
        disk.mount_again("rw")
        bench.goes_on(command)
    return told(said, "ead-only")


def tracker(bench: Bench) -> str:
    """Track a run at a server that takes connections and never answers, or answers once."""
    with silent_tracker(answers=bool(bench.rng.random() < 0.5)) as environment:
        command = bench.fresh()
        tracked = replace(command, arguments=(*command.arguments, TRACKED))
        said = bench.goes_on(tracked, **environment)
    lines = [line for line in said.splitlines() if "W&B" in line]
    assert lines, said
    return lines[0]


class Saving:
    """Hits a process that does nothing but save checkpoints.

    Args:
        make: returns the command for a folder, and the one that only looks at what it holds.
        root: of the folders.
        rng: draws instants and damage.
    """

    def __init__(self, make: Callable[..., Command], root: Path, rng: np.random.Generator) -> None:
        self.make, self.root, self.rng = make, root, rng
        shutil.rmtree(root / "saved", ignore_errors=True)

    def kill_at_random(self) -> str | None:
        """Kill it, and see that the newest checkpoint, or a later one, comes back as saved."""
        command = self.make(self.root / "saved")
        before, process = complete_steps(command.folder), command.start()
        wait(command, process, (True, float(self.rng.uniform(0, 2))))
        assert kill(process)
        newest = max([*before, *complete_steps(command.folder)], default=None)
        restored = self._restored(command.folder)[0]
        assert restored == newest, f"step {newest} was complete, step {restored} came back"
        return "killed"

    def _restored(self, folder: Path) -> tuple[int | None, str]:
        """Return the step that comes back, as it was saved, and what was said."""
        code, said = self.make(folder, "once").whole()
        assert code == 0, said
        step = int(said.split("RESTORED ")[1].split()[0])
        return step or None, said

    def flipped(self) -> str:
        """Flip bytes of the newest checkpoint; the one before must come back, or it, unharmed."""
        command = self.make(self.root / "damaged")
        shutil.rmtree(command.folder, ignore_errors=True)
        process = command.start()
        until(process, lambda: len(complete_steps(command.folder)) > 1)
        wait(command, process, (False, float(self.rng.uniform(0, 1))))
        assert kill(process)
        steps = complete_steps(command.folder)
        newest = command.folder / str(steps[-1])
        flip_bytes(sorted(p for p in newest.rglob("*") if p.is_file()), self.rng)
        restored, said = self._restored(command.folder)
        damaged = f"checkpoint of step {steps[-1]} is damaged" in said
        assert restored == steps[-2 if damaged else -1], said
        return _told_of_damage(said)
