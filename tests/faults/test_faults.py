"""The short form of the fault campaign: each command has a hard life, and ends as if it had not.

Seeds fix what is drawn; instants are the clock's, so a law holds whenever a process is hit.
`scripts/fault_campaign.py` is the long form.
"""

import signal
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import disk
import numpy as np
import pytest
from campaign import newest_checkpoint
from commands import Command
from hits import (
    assert_kept,
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


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Workshop:
    return Workshop(tmp_path_factory.mktemp("shop"))


@pytest.fixture
def small(tmp_path: Path) -> Iterator[disk.Disk]:
    if reason := disk.missing():
        pytest.skip(reason)
    with disk.small_disk(tmp_path / "disk") as made:
        yield made


def refused_read_only(command: Command, where: disk.Disk) -> None:
    """On a read-only disk the command says so and changes nothing."""
    where.mount_again("ro")
    before = changes(command.folder)
    code, said = command.whole()
    told(said, "ead-only file system")
    assert (code, changes(command.folder)) == (1, before)
    where.mount_again("rw")


def test_a_training_with_a_hard_life_ends_as_an_undisturbed_one(
    shop: Workshop, small: disk.Disk, tmp_path: Path
) -> None:
    """Killed, read-only, damaged, disk filled; then a tracker that hangs."""
    rng = np.random.default_rng(3)
    expected, pace = undisturbed(shop.training(tmp_path / "whole"))
    command = small.moved(shop.training(small.path / "run"))

    process = command.start()
    assert wait(command, process, (True, 0.0))
    assert told(command.whole()[1], f"in use by process {process.pid} on")
    while not newest_checkpoint(command.folder / "checkpoints"):
        assert process.poll() is None, process.communicate()
    process.send_signal(signal.SIGKILL)
    process.communicate()
    finished = command.finished(command.folder)
    assert finished
    refused_read_only(command, small)

    said = filled(command, small, (True, float(rng.uniform(0, pace.writes / 2))), 5000)
    assert said is None or "No space left" in said or "MB are free" in said
    assert_kept(finished, command.finished(command.folder))

    newest = command.folder / "checkpoints" / str(newest_checkpoint(command.folder / "checkpoints"))
    damaged = flip_bytes([p for p in sorted((newest / "state").rglob("*")) if p.is_file()], rng)
    with silent_tracker() as tracked:
        tracking = replace(command, arguments=(*command.arguments, TRACKED))
        code, said = tracking.whole(**tracked)
    assert code == 0, said
    assert "is damaged, trying the next" in said or newest.name == "4", damaged
    assert "did not answer within 4 s" in said
    assert_same(command.result(command.folder), expected)


def test_a_search_with_a_hard_life_ends_as_an_undisturbed_one(
    shop: Workshop, small: disk.Disk, tmp_path: Path
) -> None:
    rng = np.random.default_rng(4)
    expected, pace = undisturbed(shop.searching(tmp_path / "whole"))
    command = small.moved(shop.searching(small.path / "found"))
    assert killed(command, (True, float(rng.uniform(0, pace.writes / 3))))
    refused_read_only(command, small)
    filled(command, small, (True, 0.0), 5000)
    files = sorted((command.folder / "progress").glob("*.np*"))
    flip_bytes(files, rng)
    code, said = command.whole()
    assert code == 0, said
    assert not files or "again" in said
    assert_same(command.result(command.folder), expected)


def test_a_fetch_with_a_hard_life_ends_as_an_undisturbed_one(
    shop: Workshop, small: disk.Disk, tmp_path: Path
) -> None:
    """Killed twice, two at once, disk filled, read-only, damaged, the clock set to and fro."""
    rng = np.random.default_rng(5)
    with shop.archive() as server:
        expected, pace = undisturbed(shop.fetching(tmp_path / "whole", server))
        command = small.moved(shop.fetching(small.path / "cache", server))
        killed(command, (True, float(rng.uniform(0, pace.writes / 2))))
        filled(command, small, (True, float(rng.uniform(0, pace.writes / 2))), 5000)
        other = command.start()
        assert killed(command, (True, float(rng.uniform(0, pace.writes / 2))))
        said = "".join(other.communicate())
        assert other.returncode == 0, said
        assert_same(command.result(command.folder), expected)
        server.requests.clear()
        assert command.whole()[0] == 0
        assert server.fetched == []  # all of it was there
        damaged = flip_bytes(sorted(command.folder.rglob("*.hdf5")), rng)
        code, said = command.whole()
        assert (code, len(server.fetched)) == (0, len(damaged))
        assert said.count("not as it was written") == len(damaged)
        assert_same(command.result(command.folder), expected)


def test_a_clock_that_is_set_to_and_fro_changes_nothing(shop: Workshop, tmp_path: Path) -> None:
    if clock_library() is None:
        pytest.skip("libfaketime is not installed: no clock to set (Debian: libfaketime)")
    with shop.archive() as server:
        expected, pace = undisturbed(shop.fetching(tmp_path / "whole", server))
        with jumping_clock(tmp_path, seed=6, every=0.1) as jumping:
            command = shop.fetching(tmp_path / "cache", server)
            command = replace(command, environment=jumping)
            killed(command, (True, pace.writes / 3))
            code, said = command.whole()
        assert code == 0, said
        assert_same(command.result(command.folder), expected)
        server.requests.clear()
        assert command.whole()[0] == 0
        assert server.fetched == []


def test_a_process_killed_while_it_saves_leaves_every_checkpoint_as_it_was_saved(
    shop: Workshop, tmp_path: Path
) -> None:
    """The child checks what it goes on from; its next checkpoint is not an earlier one."""
    rng, newest = np.random.default_rng(7), 0
    command = shop.saving(tmp_path / "saved")
    for _ in range(3):
        process = command.start()
        assert wait(command, process, (True, float(rng.uniform(0, 0.5))))
        process.kill()
        out, err = process.communicate()
        assert process.returncode == -signal.SIGKILL, err
        assert not out or int(out.split()[1]) >= newest
        newest = newest_checkpoint(command.folder)
    assert newest > 0
