"""The real commands that the faults hit, what they have finished, and what they end with."""

import hashlib
import json
import os
import re
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from forked import Forked
from safetensors.numpy import load_file

Numbers = dict[str, str]  # what -> its numbers, or their SHA-256
LIMIT_SECONDS = 1200.0  # after which a command counts as hanging
CLOCK = ("time", "examples_per_second", "peak_memory_gb")  # differ from run to run
SEARCH = [
    "psd_seconds=8", "chunk_seconds=1", "streams=1", "stretch_seconds=16",
    "background.slides=4", "triggers.threshold=0.0", "report=false", "name=faults",
    "runtime.fallback=false",  # as a training: the server of forks has prepared for that
]  # fmt: skip


@dataclass(frozen=True)
class Command:
    """A command line and the folder it writes.

    `finished` returns what is complete in the folder and must never be lost, `result` what the
    command ends with; both without what the clock decides.
    """

    arguments: tuple[str, ...]
    folder: Path
    finished: Callable[[Path], Numbers]
    result: Callable[[Path], Numbers]
    environment: dict[str, str] = field(default_factory=dict)
    mounts_of: int | None = None  # process whose mounts it sees
    fork: bool = True  # of a server that has imported its packages

    def start(self, **more: str) -> "subprocess.Popen[str] | Forked":
        """Start it as a process of its own."""
        if self.fork:
            return Forked(self.arguments, self.environment | more, self.mounts_of)
        assert self.mounts_of is None
        return subprocess.Popen(
            [sys.executable, "-m", *self.arguments],
            env=os.environ | self.environment | more,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def whole(self, **more: str) -> tuple[int, str]:
        """Run it to its end, and return its exit code and what it said."""
        process = self.start(**more)
        try:
            out, err = process.communicate(timeout=LIMIT_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            raise
        assert process.returncode is not None
        return process.returncode, out + err


def training(run_dir: Path, tiny: Sequence[str], cache: Path) -> Command:
    """Return the command that trains with settings so small that it takes seconds."""
    return Command(
        ("ligo_cpc_snn.train", *tiny, f"run_dir={run_dir}"),
        run_dir,
        finished_steps,
        trained,
        {"LIGO_CACHE_DIR": str(cache), "JAX_PLATFORMS": "cpu"},
    )


def searching(output: Path, strain: Path, detector: Path, cache: Path) -> Command:
    """Return the command that searches a file of strain and shifts it for a background."""
    files = (str(strain), "--detector", str(detector), "--output", str(output))
    return Command(
        ("ligo_cpc_snn.search", *files, *SEARCH),
        output,
        finished_groups,
        searched,
        {"LIGO_CACHE_DIR": str(cache), "LIGO_PLATFORM": "cpu"},
    )


def fetching(cache: Path, host: str, start: int, end: int) -> Command:
    """Return the command that fetches strain of H1 and L1 into a cache."""
    span = ("--start", str(start), "--end", str(end), "--host", host, "--cache", str(cache))
    return Command(("ligo_cpc_snn.strain", "fetch", *span), cache, cached, cached)


def finished_steps(run_dir: Path) -> Numbers:
    """Return the steps and records up to the newest checkpoint; its own files must be sound."""
    newest = newest_checkpoint(run_dir / "checkpoints")
    _check_sums(run_dir / "checkpoints" / str(newest))
    saved = {f"saved to step {step}": "" for step in range(1, newest + 1)}
    rows = {row: text for row, text in _rows(run_dir).items() if int(row.split()[0]) <= newest}
    return saved | rows


def trained(run_dir: Path) -> Numbers:
    """Return the parameters, the records of all steps and what was measured at the end."""
    arrays = load_file(run_dir / "detector.safetensors")
    measured = json.loads((run_dir / "metrics.json").read_text())
    kept = {name: str(measured[name]) for name in ("detection", "spikes") if name in measured}
    with np.load(run_dir / "evaluation.npz") as saved:
        kept |= {f"evaluation {name}": _digest(saved[name]) for name in saved.files}
    return kept | {name: _digest(array) for name, array in arrays.items()} | _rows(run_dir)


def complete_steps(folder: Path) -> list[int]:
    """Return the steps of the complete checkpoints in a folder, oldest first."""
    return sorted(int(path.name) for path in folder.glob("*") if path.name.isdigit())


def newest_checkpoint(folder: Path) -> int:
    """Return the newest complete step, 0 where there is none."""
    return max(complete_steps(folder), default=0)


def finished_groups(output: Path) -> Numbers:
    """Return the files of the groups of stretches that are complete."""
    groups = sorted((output / "progress").glob("*.npz"))
    return {path.name: _file_digest(path) for path in groups}


def searched(output: Path) -> Numbers:
    """Return the files with the triggers and the background."""
    names = ("triggers.csv", "events.hdf", "triggers.hdf5", "background.npz")
    return {name: _file_digest(output / name) for name in names}


def cached(cache: Path) -> Numbers:
    """Return the strain files of the cache; each must be as its name says."""
    found = {}
    for path in sorted(cache.rglob("*.hdf5")):
        named = re.fullmatch(r"(\w\d-\d+-\d+)-([0-9a-f]{64})\.hdf5", path.name)
        assert named is not None, path
        assert _file_digest(path) == named[2], f"{path} is not as its name says"
        with h5py.File(path) as file:
            found[named[1]] = " ".join(_digest(dataset[()]) for dataset in file.values())
    return found


def _rows(run_dir: Path) -> Numbers:
    """Return the lines of metrics.jsonl by step and split; one cut off by the end is none."""
    path, rows = run_dir / "metrics.jsonl", {}
    for line in path.read_text().splitlines() if path.exists() else []:
        try:
            row: dict[str, Any] = json.loads(line)
        except ValueError:
            continue
        name = f"{row['step']} {row['phase']} {row['split']}"
        assert name not in rows, f"{path}: step {name} is there twice"
        rows[name] = str({key: value for key, value in row.items() if key not in CLOCK})
    return rows


def _check_sums(checkpoint: Path) -> None:
    """Check a complete checkpoint against its own list of SHA-256."""
    sums = checkpoint / "SHA256SUMS"
    for line in sums.read_text().splitlines() if sums.exists() else []:
        digest, name = line.split("  ", 1)
        assert _file_digest(checkpoint / name) == digest, f"{checkpoint / name} is damaged"


def _file_digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def _digest(array: np.ndarray) -> str:
    return hashlib.sha256(f"{array.dtype} {array.shape}".encode() + array.tobytes()).hexdigest()
