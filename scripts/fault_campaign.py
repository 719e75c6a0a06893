"""Kill the real commands at random instants, fill their disks, damage their files; count.

    python scripts/fault_campaign.py --kills 100 --faults 3 --seed 1 --json faults.json
    python scripts/fault_campaign.py --table faults.json ... > table.md

`--only search` (may be repeated) hits some of the commands, so that several processes share a
campaign. What was found is in the file after each hit. Kills are shared equally by the commands
asked for. Exit code 1 when something was lost or a command did not go on.
"""

import argparse
import json
import os
import sys
import tempfile
import traceback
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

TESTS = Path(__file__).parents[1] / "tests"
sys.path[:0] = [str(TESTS), str(TESTS / "faults")]
# Programs are compiled once for the whole campaign.
os.environ.setdefault("JAX_COMPILATION_CACHE_DIR", f"{tempfile.gettempdir()}/fault-campaign-jax")
os.environ.setdefault("JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS", "0.2")
os.environ.setdefault("JAX_PERSISTENT_CACHE_MIN_ENTRY_SIZE_BYTES", "-1")
os.environ.setdefault("WANDB_MODE", "disabled")
os.environ.setdefault("JAX_PLATFORMS", "cpu")

import campaign  # noqa: E402 (after the paths and the environment)
import numpy as np  # noqa: E402
from workshop import LONGER, Workshop  # noqa: E402

DISK = "disk"  # folder of the small disks
Round = tuple[str, Iterator[str]]  # what is done, and what comes of each time


def rounds(
    name: str, shop: Workshop, root: Path, rng: np.random.Generator, kills: int, faults: int
) -> Iterator[Round]:
    """Yield what is done to one command."""
    if name == "checkpoint":
        yield "kill", campaign.saving(shop, root, rng, kills)
        yield "flipped bytes", campaign.damaged_saves(shop, root, rng, 4 * faults)
        return
    if name == "fetch":
        with shop.archive() as server:
            # Disks of their own are entered by a command line: those are no forks.
            bench = campaign.Bench(
                lambda path: replace(shop.fetching(path, server), fork=DISK not in path.parts),
                root,
                rng,
            )
            yield from _of_bench(bench, kills, faults, pattern="strain/*/*.hdf5", refused=False)
        return
    make, pattern = {
        "search": (shop.searching, "progress/*.np*"),
        "training": (lambda path: shop.training(path, *LONGER), "checkpoints/*/**/*"),
    }[name]
    bench = campaign.Bench(make, root, rng)
    yield from _of_bench(bench, kills, faults, pattern=pattern, refused=True)
    if name == "training":
        yield "tracker", campaign.tracker(bench, min(faults, 2))


def _of_bench(
    bench: campaign.Bench, kills: int, faults: int, *, pattern: str, refused: bool
) -> Iterator[Round]:
    yield "kill", campaign.kills(bench, kills)
    yield "flipped bytes", campaign.flipped(bench, faults, pattern)
    yield "full disk", campaign.full_disk(bench, faults)
    yield "two processes", campaign.two_processes(bench, faults, refused)
    yield "read-only", campaign.read_only(bench, faults)
    yield "clock", campaign.clock(bench, faults)


def hit(name: str, work: Path, options: argparse.Namespace, found: list[dict[str, str]]) -> None:
    """Do all rounds of one command and add what came of each to `found`."""
    root = work / name
    root.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng([options.seed, *name.encode()])
    shop = Workshop(work)
    share = -(-options.kills // len(options.only))
    for fault, outcomes in rounds(name, shop, root, rng, share, options.faults):
        try:
            for told in outcomes:
                _note(found, name, fault, told.replace(str(work), "WORK"), options.json)
        except AssertionError:
            _note(found, name, fault, f"FAILED: {traceback.format_exc()}", options.json)


def _note(
    found: list[dict[str, str]], command: str, fault: str, told: str, file: Path | None
) -> None:
    found.append({"command": command, "fault": fault, "told": told})
    print(f"{datetime.now(UTC):%H:%M:%S} {command}: {fault}: {told}", flush=True)
    if file is not None:
        file.write_text(json.dumps(found, indent=1))


def table(files: list[Path]) -> str:
    """Return a Markdown table of what was done, how often, and how often it went wrong."""
    found = [entry for file in files for entry in json.loads(file.read_text())]
    tried = Counter((x["fault"], x["command"]) for x in found)
    failed = Counter((x["fault"], x["command"]) for x in found if x["told"].startswith("FAILED"))
    lines = ["| fault | command | times | lost, wrong or not gone on |", "|---|---|--:|--:|"]
    for fault in campaign.FAULTS:
        for command in campaign.COMMANDS:
            if number := tried[fault, command]:
                lines.append(f"| {fault} | {command} | {number} | {failed[fault, command]} |")
    return "\n".join(lines)


def main() -> int:
    """Run the campaign of the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--kills", type=int, default=100, help="in all (%(default)s)")
    parser.add_argument("--faults", type=int, default=3, help="of each other kind (%(default)s)")
    parser.add_argument("--seed", type=int, default=1, help="of instants and damage (%(default)s)")
    parser.add_argument("--json", type=Path, help="file for what came of each hit")
    parser.add_argument("--only", action="append", choices=campaign.COMMANDS)
    parser.add_argument("--work", type=Path, help="folder for all that is written")
    parser.add_argument("--table", nargs="+", type=Path, help="only show files of --json")
    options = parser.parse_args()
    if options.table:
        print(table(options.table))
        return 0
    options.only = options.only or list(campaign.COMMANDS)
    found: list[dict[str, str]] = []
    with tempfile.TemporaryDirectory() as folder:
        for name in options.only:
            hit(name, options.work or Path(folder), options, found)
    return int(any(entry["told"].startswith("FAILED") for entry in found))


if __name__ == "__main__":
    sys.exit(main())
