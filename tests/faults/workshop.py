"""Small strain, a small detector and a slow archive for the commands that faults hit."""

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import h5py
from commands import Command, Numbers, fetching, searching, training
from flax import nnx
from gwosc_files import write_file
from gwosc_server import Fault, GwoscServer, Handler, serving
from small_detector import RATE, noise, small_detector
from tiny import TINY

from ligo_cpc_snn.search.weights import save_detector

SEGMENTS = (1000, 1100, 1200, 1300, 1400)  # GPS s of the strain searched
START, FILES, SECONDS = 1130000000, 8, 16  # GPS s, of each detector, s of a file
PART_BYTES, PART_SECONDS = 65_536, 0.02  # of the archive's answers
LONGER = ("training.finetune.steps=56", "training.checkpoint.every_steps=8")
HERE = Path(__file__).parent


class SlowHandler(Handler):
    """Sends files in parts, so that a process can end between them."""

    def _send(self, body: bytes, fault: Fault) -> None:
        for first in range(0, len(body), PART_BYTES):
            self.wfile.write(body[first : first + PART_BYTES])
            self.wfile.flush()
            time.sleep(PART_SECONDS)
        self.close_connection = True


class Workshop:
    """Makes commands that write below a folder.

    Args:
        folder: of the inputs; the commands' own folders are given to each.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.cache = folder / "cache"
        self.strain, self.detector = folder / "noise.hdf", folder / "small.safetensors"
        if not self.strain.exists():
            _write_search(self.strain, self.detector)

    def training(self, run_dir: Path, *longer: str) -> Command:
        """Train: 16 steps with a checkpoint every 4, whose programs other tests compile too."""
        return training(run_dir, [*TINY, *longer], self.cache)

    def searching(self, output: Path) -> Command:
        """Search."""
        return searching(output, self.strain, self.detector, self.cache)

    def saving(self, folder: Path, *once: str) -> Command:
        """Save checkpoints for ever, or look `once` at what can be restored."""
        path = {"PYTHONPATH": str(HERE), "JAX_PLATFORMS": "cpu"}
        return Command(("saving_child", str(folder), *once), folder, _none, _none, path)

    @contextmanager
    def archive(self) -> Iterator[GwoscServer]:
        """Serve strain files as GWOSC does, slowly."""
        files = self.folder / "archive"
        if not files.exists():
            files.mkdir()
            for number in range(FILES):
                for name in ("H1", "L1"):
                    write_file(files, name, START + number * SECONDS, SECONDS)
        with serving(files, {}) as server:
            server.RequestHandlerClass = SlowHandler
            yield server

    def fetching(self, cache: Path, server: GwoscServer) -> Command:
        """Fetch all that the archive has."""
        return fetching(cache, server.url, START, START + FILES * SECONDS)


def _none(_: Path) -> Numbers:
    return {}


def _write_search(strain: Path, detector: Path) -> None:
    found = small_detector()
    save_detector(detector, replace(found, params=nnx.to_pure_dict(found.params)))
    partial = strain.with_suffix(".partial")
    with h5py.File(partial, "w") as file:
        for gps in SEGMENTS:
            for name, segment in noise(24.0, gps=float(gps), seed=gps).items():
                file[f"{name}/{gps}"] = segment.strain
                file[f"{name}/{gps}"].attrs.update({"start_time": gps, "delta_t": 1 / RATE})
    os.replace(partial, strain)
