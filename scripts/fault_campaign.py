"""Kill the real commands at random instants, fill their disks, damage their files; count.

    python scripts/fault_campaign.py --kills 100 --faults 3 --seed 1 --json faults.json
    python scripts/fault_campaign.py --table faults.json ... > table.md

`--only search` (may be repeated) hits some of the commands, so that several processes share a
campaign. What came of each hit is in the file as soon as it is known. Kills are shared equally by
the commands asked for. Exit code 1 when something was lost or a command did not go on.
"""

import argparse
import json
import os
import platform
import sys
import tempfile
import time
import traceback
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

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

TRIES = 6  # of a hit that comes too late, as a kill after the command's end
FAILED = "FAILED"
Hit = Callable[[], str | None]  # what came of it, None where it came too late


@contextmanager
def hits(
    name: str, shop: Workshop, root: Path, rng: np.random.Generator
) -> Iterator[dict[str, Hit]]:
    """Yield what can be done to a command, by fault; what is under way ends with the block."""
    if name == "checkpoint":
        saving = campaign.Saving(shop.saving, root, rng)
        yield {"kill": saving.kill_at_random, "flipped bytes": saving.flipped}
        return
    with shop.archive() as server:
        make, pattern = {
            "fetch": (lambda path: shop.fetching(path, server), "strain/*/*.hdf5"),
            "search": (shop.searching, "progress/*.np*"),
            "training": (lambda path: shop.training(path, *LONGER), "checkpoints/*/**/*"),
        }[name]
        bench = campaign.Bench(make, root, rng)
        found: dict[str, Hit] = {
            "kill": lambda: campaign.kill_at_random(bench),
            "flipped bytes": lambda: campaign.flipped(bench, pattern),
            "full disk": lambda: campaign.full_disk(bench),
            "two processes": lambda: campaign.two_processes(bench, refused=name != "fetch"),
            "read-only": lambda: campaign.read_only(bench),
            "clock": lambda: campaign.clock(bench),
        }
        if name == "training":
            found["tracker"] = lambda: campaign.tracker(bench)
        yield found
        campaign.end_of_kills(bench)


def order(faults: list[str], kills: int, others: int) -> Iterator[str]:
    """Yield which fault comes next: kills, and after each part of them one of every other."""
    for part in range(max(others, 1)):
        share = kills * (part + 1) // max(others, 1) - kills * part // max(others, 1)
        yield from ["kill"] * share
        yield from [fault for fault in faults if fault != "kill" and part < others]


class Record:
    """What came of each hit, in a file as soon as it is known.

    Args:
        file: of JSON, or None.
        seed: of the campaign.
        work: folder that messages name as `WORK`.
    """

    def __init__(self, file: Path | None, seed: int, work: Path) -> None:
        self.file, self.work = file, work
        self.content: dict[str, Any] = {"machine": _machine(), "seed": seed, "hits": []}
        self.content["begun"] = self.content["ended"] = _now()

    def add(self, command: str, fault: str, told: str, seconds: float) -> None:
        """Add one hit, print it and write the file."""
        told = told.replace(str(self.work), "WORK")
        entry = {"command": command, "fault": fault, "told": told, "seconds": round(seconds, 1)}
        self.content["hits"].append(entry)
        self.content["ended"] = _now()
        print(f"{self.content['ended']} {command}: {fault}: {told}", flush=True)
        if self.file is not None:
            partial = self.file.with_suffix(".partial")
            partial.write_text(json.dumps(self.content, indent=1) + "\n")
            partial.replace(self.file)

    @property
    def failed(self) -> bool:
        """Whether anything went wrong."""
        return any(hit["told"].startswith(FAILED) for hit in self.content["hits"])


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")


def _machine() -> str:
    model = platform.processor() or platform.machine()
    if (info := Path("/proc/cpuinfo")).exists():
        lines = [line for line in info.read_text().splitlines() if line.startswith("model name")]
        model = lines[0].split(": ", 1)[1] if lines else model
    versions = ", ".join(f"{name} {version(name)}" for name in ("jax", "orbax-checkpoint"))
    return (
        f"{os.cpu_count()} cores of {model}, {platform.system()}, "
        f"Python {platform.python_version()}, {versions}"
    )


def hit(name: str, work: Path, options: argparse.Namespace, record: Record) -> None:
    """Hit one command as often as asked for and record what came of it."""
    root = work / name
    root.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng([options.seed, *name.encode()])
    kills = -(-options.kills // len(options.only))
    with hits(name, Workshop(work), root, rng) as known:
        for fault in order(list(known), kills, options.faults):
            begun = time.monotonic()
            told = _tried(known[fault])
            record.add(name, fault, told, time.monotonic() - begun)


def _tried(once: Hit) -> str:
    """Return what came of a hit; whatever goes wrong is a result too."""
    try:
        for _ in range(TRIES):
            if (told := once()) is not None:
                return told
        return f"not tried: came too late {TRIES} times"
    except Exception:
        return f"{FAILED}: {traceback.format_exc()}"


# What was not hit, and disks that were full only after a command's end.
SHOWS_NOTHING = ("not tried", "had enough room")


def table(files: list[Path]) -> str:
    """Return a Markdown table of what was done, how often, and how often it went wrong."""
    records = [json.loads(file.read_text()) for file in files]
    found = [hit for record in records for hit in record["hits"]]
    found = [hit for hit in found if not hit["told"].startswith(SHOWS_NOTHING)]
    tried = Counter((x["fault"], x["command"]) for x in found)
    failed = Counter((x["fault"], x["command"]) for x in found if x["told"].startswith(FAILED))
    lines = [*_circumstances(records), ""]
    lines += ["| fault | command | times | lost, wrong or not gone on |", "|---|---|--:|--:|"]
    for fault in campaign.FAULTS:
        rows = [(name, tried[fault, name]) for name in campaign.COMMANDS if tried[fault, name]]
        lines += [f"| {fault} | {name} | {n} | {failed[fault, name]} |" for name, n in rows]
        if len(rows) > 1:
            wrong = sum(failed[fault, name] for name, _ in rows)
            lines.append(f"| **{fault}** | **all** | **{sum(n for _, n in rows)}** | **{wrong}** |")
    return "\n".join(lines)


def _circumstances(records: list[dict[str, Any]]) -> Iterator[str]:
    """Yield when, where and with which seeds."""
    begun, ended = min(x["begun"] for x in records), max(x["ended"] for x in records)
    seeds = ", ".join(str(seed) for seed in sorted({x["seed"] for x in records}))
    hours = sum(hit["seconds"] for x in records for hit in x["hits"]) / 3600
    yield f"{begun[:10]}, {begun[11:16]} to {ended[11:16]} UTC, {hours:.1f} process hours of hits;"
    yield from sorted({x["machine"] for x in records})
    yield f"(seed {seeds})."


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
    with tempfile.TemporaryDirectory() as folder:
        work = options.work or Path(folder)
        record = Record(options.json, options.seed, work)
        for name in options.only:
            hit(name, work, options, record)
    return int(record.failed)


if __name__ == "__main__":
    sys.exit(main())
