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
from commands import Command, Numbers, complete_steps
from gwosc_server import GwoscServer
from hits import (
    Pace,
    assert_kept,
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
from workshop import Workshop


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Workshop:
    return Workshop(tmp_path_factory.mktemp("shop"))


@pytest.fixture(scope="module")
def archive(shop: Workshop) -> Iterator[GwoscServer]:
    with shop.archive() as server:
        yield server


@pytest.fixture(scope="module")
def fetched(
    shop: Workshop, archive: GwoscServer, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Numbers, Pace]:
    return undisturbed(shop.fetching(tmp_path_factory.mktemp("fetched") / "whole", archive))


@pytest.fixture
def small(tmp_path: Path) -> Iterator[disk.Disk]:
    if reason := disk.missing():
        pytest.skip(reason)
    with disk.small_disk(tmp_path / "disk") as made:
        yield made


def refused_beside_itself(command: Command) -> None:
    """Start it twice: the second is told whose the folder is; then kill the first."""
    process = command.start()
    assert wait(command, process, (True, 0.0))
    process.send_signal(signal.SIGSTOP)  # it holds the folder for as long as the second needs
    assert told(command.whole()[1], f"in use by process {process.pid} on")
    process.send_signal(signal.SIGCONT)
    until(process, lambda: len(complete_steps(command.folder / "checkpoints")) > 1)
    assert kill(process)


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
    """Beside itself, killed, its disk filled, a checkpoint damaged; then a tracker that hangs."""
    rng = np.random.default_rng(3)
    expected, pace = undisturbed(shop.training(tmp_path / "whole"))
    command = small.moved(shop.training(small.path / "run"))
    refused_beside_itself(command)
    finished = command.finished(command.folder)
    assert "saved to step 8" in finished

    filled(command, small, (True, float(rng.uniform(0, pace.writes / 2))), 5000)
    assert_kept(finished, command.finished(command.folder))

    checkpoints = command.folder / "checkpoints"
    newest = complete_steps(checkpoints)[-1]
    flip_bytes(
        [p for p in sorted((checkpoints / f"{newest}/state").rglob("*")) if p.is_file()], rng
    )
    with silent_tracker() as tracked:
        tracking = replace(command, arguments=(*command.arguments, TRACKED))
        code, said = tracking.whole(**tracked)
    assert code == 0, said
    assert f"checkpoint of step {newest} is damaged, trying the next" in said
    assert "did not answer within 4 s" in said
    assert_same(command.result(command.folder), expected)


def test_a_search_with_a_hard_life_ends_as_an_undisturbed_one(
    shop: Workshop, small: disk.Disk, tmp_path: Path
) -> None:
    """Killed, read-only, its disk filled, its progress damaged."""
    rng = np.random.default_rng(4)
    expected, _ = undisturbed(shop.searching(tmp_path / "whole"))
    command = small.moved(shop.searching(small.path / "found"))
    process = command.start()
    until(process, lambda: command.finished(command.folder))
    assert kill(process)
    finished = command.finished(command.folder)
    refused_read_only(command, small)
    filled(command, small, (True, float(rng.uniform(0, 1))), 5000)
    assert_kept(finished, command.finished(command.folder))
    flip_bytes(sorted((command.folder / "progress").glob("*.npz")), rng)
    code, said = command.whole()
    assert code == 0, said
    assert "again" in said
    assert_same(command.result(command.folder), expected)


def test_a_fetch_with_a_hard_life_ends_as_an_undisturbed_one(
    shop: Workshop, small: disk.Disk, archive: GwoscServer, fetched: tuple[Numbers, Pace]
) -> None:
    """Killed, its disk filled, two at once and one of them killed, what it has damaged."""
    rng, (expected, pace) = np.random.default_rng(5), fetched
    command = small.moved(shop.fetching(small.path / "cache", archive))
    killed(command, (True, float(rng.uniform(0, pace.writes / 2))))
    filled(command, small, (True, float(rng.uniform(0, pace.writes / 2))), 5000)
    other = command.start()
    killed(command, (True, float(rng.uniform(0, pace.writes / 2))))
    said = "".join(other.communicate())
    assert other.returncode == 0, said
    assert_same(command.result(command.folder), expected)
    damaged = flip_bytes(sorted(command.folder.rglob("*.hdf5")), rng)
    archive.requests.clear()
    code, said = command.whole()
    assert (code, len(archive.fetched)) == (0, len(damaged))  # the others were there
    assert said.count("not as it was written") == len(damaged)
    assert_same(command.result(command.folder), expected)


def test_a_clock_that_is_set_to_and_fro_changes_nothing(
    shop: Workshop, archive: GwoscServer, fetched: tuple[Numbers, Pace], tmp_path: Path
) -> None:
    if clock_library() is None:
        pytest.skip("libfaketime is not installed: no clock to set (Debian: libfaketime)")
    expected, pace = fetched
    with jumping_clock(tmp_path, seed=6, every=0.1) as jumping:
        command = shop.fetching(tmp_path / "cache", archive)
        command = replace(command, environment=jumping, fork=False)
        killed(command, (True, pace.writes / 3))
        code, said = command.whole()
        assert code == 0, said
        assert_same(command.result(command.folder), expected)
        archive.requests.clear()
        assert command.whole()[0] == 0
    assert archive.fetched == []


def test_a_process_killed_while_it_saves_leaves_every_checkpoint_as_it_was_saved(
    shop: Workshop, tmp_path: Path
) -> None:
    """The next one checks what it goes on from: the newest checkpoint, as it was saved."""
    rng, command = np.random.default_rng(7), shop.saving(tmp_path / "saved")
    for _ in range(2):
        steps = complete_steps(command.folder)
        process = command.start()
        assert wait(command, process, (True, float(rng.uniform(0, 0.5))))
        assert kill(process)
        assert complete_steps(command.folder)[-1:] >= steps[-1:]
    code, said = shop.saving(command.folder, "once").whole()
    assert code == 0, said
    assert f"RESTORED {max(complete_steps(command.folder), default=0)}" in said
