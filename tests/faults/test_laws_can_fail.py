"""What the fault campaign checks with can fail: a law that never does proves nothing."""

import errno
import json
import shutil
import socket
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from urllib.parse import urlsplit

import disk
import numpy as np
import pytest
from commands import Command, Numbers, cached, finished_steps
from hits import assert_kept, assert_same, flip_bytes, kill, killed, told, wait
from surroundings import JUMPS_SECONDS, clock_library, jumping_clock, silent_tracker

LOSES = """
import pathlib, sys, time
folder = pathlib.Path(sys.argv[1])
for path in folder.glob("kept*"):
    path.{does}
(folder / "begun").touch()
time.sleep({sleeps})
sys.exit({code})
"""


def files(folder: Path) -> Numbers:
    return {path.name: path.read_text() for path in folder.glob("kept*")}


def script(folder: Path, does: str, sleeps: float = 60, code: int = 0) -> Command:
    """Return a command that does something to what is there, and then waits to be killed."""
    folder.mkdir(exist_ok=True)
    (folder / "kept").write_text("1")
    (folder / "loses.py").write_text(LOSES.format(does=does, sleeps=sleeps, code=code))
    path = {"PYTHONPATH": str(folder)}
    return Command(("loses", str(folder)), folder, files, files, path, fork=False)


@pytest.mark.parametrize("does", ["unlink()", "write_text('2')"])
def test_a_process_that_loses_or_changes_what_was_finished_is_found(
    tmp_path: Path, does: str
) -> None:
    with pytest.raises(AssertionError, match="kept"):
        killed(script(tmp_path, does), (True, 0.0))
    assert killed(script(tmp_path, "read_text()"), (True, 0.0))


def test_a_process_that_ends_badly_before_its_kill_is_no_kill(tmp_path: Path) -> None:
    """Nor is one that ended well: it does not count."""
    with pytest.raises(AssertionError):
        killed(script(tmp_path, "read_text()", sleeps=0, code=3), (True, 10.0))
    assert not killed(script(tmp_path, "read_text()", sleeps=0), (True, 10.0))


def test_a_result_that_differs_or_lacks_or_adds_is_found() -> None:
    assert_same({"a": "1"}, {"a": "1"})
    for result in ({"a": "2"}, {}, {"a": "1", "b": "1"}):
        with pytest.raises(AssertionError):
            assert_same(result, {"a": "1"})
    with pytest.raises(AssertionError, match="a"):
        assert_kept({"a": "1"}, {"b": "1"})


def test_a_lost_checkpoint_a_flipped_byte_and_a_step_told_twice_are_found(tmp_path: Path) -> None:
    sums = "6b86b273ff34fce19d6b804eff5a3f5747ada4eaa22f1d49c01e52ddb7875b4b  array\n"  # of "1"
    for step in (1, 2):
        folder = tmp_path / "checkpoints" / str(step)
        folder.mkdir(parents=True)
        (folder / "array").write_text("1")
        (folder / "SHA256SUMS").write_text(sums)
    row = json.dumps({"step": 1, "phase": "pretrain", "split": "train", "loss": 0.5})
    records = tmp_path / "metrics.jsonl"
    records.write_text(row + '\n{"step": 2, "pha')
    before = finished_steps(tmp_path)
    assert {"1 pretrain train", "saved to step 2"} <= set(before)

    newest = tmp_path / "checkpoints" / "2"
    flip_bytes([newest / "array"], np.random.default_rng(1))
    with pytest.raises(AssertionError, match="array is damaged"):
        finished_steps(tmp_path)
    shutil.rmtree(newest)
    with pytest.raises(AssertionError, match="saved to step 2"):
        assert_kept(before, finished_steps(tmp_path))
    records.write_text(f"{row}\n{row}\n")
    with pytest.raises(AssertionError, match="there twice"):
        finished_steps(tmp_path)


def test_a_cached_file_that_is_not_as_its_name_says_is_found(tmp_path: Path) -> None:
    (tmp_path / f"H1-1000-16-{64 * '0'}.hdf5").write_bytes(b"strain")
    with pytest.raises(AssertionError, match="not as its name says"):
        cached(tmp_path)


@pytest.mark.parametrize("said", ["Traceback\nNo space left", "done", "No space left\ndone"])
def test_a_message_must_say_it_last_and_without_a_traceback(said: str) -> None:
    assert told("begun\nNo space left on sda", "No space left") == "No space left on sda"
    with pytest.raises(AssertionError):
        told(said, "No space left")


def test_a_small_disk_fills_and_refuses(tmp_path: Path) -> None:
    """Seen by what is put inside alone; full to the page; read-only also for the root user."""
    if reason := disk.missing():
        pytest.skip(reason)
    path = tmp_path / "disk"
    with disk.small_disk(path, megabytes=4) as small:
        assert list(path.iterdir()) == []
        assert write(small, 1_000_000) == 0
        small.fill(0)
        assert write(small, 100_000) == errno.ENOSPC
        small.free()
        assert write(small, 2_500_000) == 0
        small.mount_again("ro")
        assert write(small, 1) == errno.EROFS
        assert (small.seen / "of 2500000").stat().st_size == 2_500_000
    assert list(path.iterdir()) == []


def write(small: disk.Disk, size: int) -> int:
    """Write a file from inside and return the error's number, 0 where there was none."""
    code = (
        "import sys\n"
        "try: open(sys.argv[1], 'wb', buffering=0).write(bytes(int(sys.argv[2])))\n"
        "except OSError as error: sys.exit(error.errno)\n"
        "import os; sys.exit(28 if os.path.getsize(sys.argv[1]) < int(sys.argv[2]) else 0)"
    )
    command = [sys.executable, "-c", code, str(small.path / f"of {size}"), str(size)]
    return subprocess.run(small.inside(command)).returncode


def test_the_clock_of_a_process_really_jumps(tmp_path: Path) -> None:
    if clock_library() is None:
        pytest.skip("libfaketime is not installed: no clock to set (Debian: libfaketime)")
    code = "import time; print(time.time(), time.monotonic())"
    with jumping_clock(tmp_path, seed=1, every=0.05) as environment:
        off, real = [], time.time()
        while not off or (max(off) - min(off) < 3600 and len(off) < 50):  # busy: it jumps late
            said = subprocess.run(
                [sys.executable, "-c", code], env=environment, capture_output=True, text=True
            ).stdout.split()
            off.append(float(said[0]) - real)
            assert abs(float(said[1]) - time.monotonic()) < 600  # this clock runs on
    assert max(off) - min(off) > 3600
    assert max(map(abs, off)) < max(JUMPS_SECONDS) + 3600


@pytest.mark.parametrize("answers", [False, True])
def test_a_silent_tracker_takes_connections_and_answers_at_most_once(answers: bool) -> None:
    with silent_tracker(answers=answers) as environment:
        address = urlsplit(environment["WANDB_BASE_URL"])
        for path, told_back in (("/", answers), ("/graphql", False)):
            with socket.create_connection((address.hostname, address.port), timeout=0.3) as asked:
                asked.sendall(f"GET {path} HTTP/1.1\r\n\r\n".encode())
                try:
                    answer = asked.recv(100)
                except TimeoutError:
                    answer = b""
                assert answer.startswith(b"HTTP/1.1 200") == told_back


def test_a_wait_ends_with_the_process_and_a_kill_says_whether_it_came_in_time(
    tmp_path: Path,
) -> None:
    command = script(tmp_path, "read_text()", sleeps=0)
    process = command.start()
    assert not wait(command, process, (False, 60.0))
    assert not kill(process)
    waiting = replace(command, arguments=script(tmp_path, "read_text()").arguments)
    process = waiting.start()
    assert wait(waiting, process, (False, 0.0))
    assert kill(process)
