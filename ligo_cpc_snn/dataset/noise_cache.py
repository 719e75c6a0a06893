"""Whitened noise in a memory-mapped file: pieces of equal length, read a few at a time.

A file of samples, piece after piece and within a piece detector after detector, and beside
it a table in JSON with the samples' SHA-256. The table is written last, each by renaming a
whole file: noise without a table, or not as its table says, is made again.
"""

import hashlib
import itertools
import json
import logging
import os
import shutil
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from filelock import FileLock, Timeout
from jaxtyping import Float

from ligo_cpc_snn.config.data_schema import DataConfig
from ligo_cpc_snn.dataset.noise import NoiseBlock
from ligo_cpc_snn.dataset.plan import BankError
from ligo_cpc_snn.dataset.storage import as_stored, storage_type

log = logging.getLogger(__name__)

FORMAT = 2
READ_BYTES = 1 << 24  # hashed at a time
LONGEST_SECONDS = 64.0  # of a piece
MOST_BYTES = 20_000_000_000  # of all such files; those not used for longest go
FEWEST_PIECES = 16  # of all noise, as far as they hold that many windows:
WINDOWS = 16


class Piece(NamedTuple):
    """Where a piece begins in the file and how long it is, samples, and its block's number."""

    first: int
    size: int
    block: int


class NoiseCache(NamedTuple):
    """Pieces of the noise of all blocks, mapped and not read."""

    path: Path
    samples: np.ndarray  # memory-mapped; half numbers as they are stored
    pieces: tuple[Piece, ...]
    detectors: int

    def read(self, number: int) -> Float[np.ndarray, "detector time"]:
        """Read one piece into memory."""
        piece = self.pieces[number]
        end = piece.first + piece.size * self.detectors
        return np.array(self.samples[piece.first : end]).reshape(self.detectors, piece.size)

    @property
    def longest(self) -> int:
        """Samples of the longest piece."""
        return max(piece.size for piece in self.pieces)


def cache_noise(folder: Path, blocks: Sequence[NoiseBlock], data: DataConfig) -> NoiseCache:
    """Return the noise of the blocks from its file, which is written where it is not sound.

    Args:
        folder: of such files; the name is a hash of the noise itself and of its layout.
        blocks: whitened noise, not needed in memory after this.
        data: window and storage.

    Raises:
        BankError: the disk has no room for it.
    """
    size = piece_samples(data, sum(block.seconds for block in blocks))
    key = _key(blocks, data, size)
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"noise-{key[:20]}.bin"
    with FileLock(path.with_suffix(".lock")):
        found = _open(path, data)
        if found is None:
            _write(path, list(_cut(blocks, size)), data)
            found = _open(path, data)
            _make_room(path)
    if found is None:
        raise BankError(f"{path} cannot be read back as it was written: is its disk sound?")
    return found


def piece_samples(data: DataConfig, seconds: float) -> int:
    """Return the longest piece of `seconds` of noise; it does not depend on any budget."""
    shortest = WINDOWS * data.window_seconds
    longest = min(LONGEST_SECONDS, max(shortest, seconds / FEWEST_PIECES))
    return round(max(longest, data.window_seconds) * data.sample_rate_hz)


def _cut(blocks: Sequence[NoiseBlock], size: int) -> Iterator[tuple[int, list[np.ndarray]]]:
    """Yield block number and strain of each detector of pieces of at most `size` samples."""
    for number, block in enumerate(blocks):
        for stretch in block.stretches:
            strain = [segment.strain for segment in stretch.values()]
            parts = -(-strain[0].size // size)
            edges = np.linspace(0, strain[0].size, parts + 1).round().astype(int)
            for first, last in itertools.pairwise(edges):
                yield number, [x[first:last] for x in strain]


def _key(blocks: Sequence[NoiseBlock], data: DataConfig, size: int) -> str:
    layout = [FORMAT, size, data.storage.value, data.detectors, data.sample_rate_hz]
    digest = hashlib.sha256(json.dumps(layout).encode())
    for number, strain in _cut(blocks, size):
        digest.update(f"{number} {strain[0].size}".encode())
        for x in strain:
            digest.update(np.ascontiguousarray(x).data)
    return digest.hexdigest()


def _write(path: Path, pieces: Iterable[tuple[int, list[np.ndarray]]], data: DataConfig) -> None:
    pieces = list(pieces)
    dtype, digest = storage_type(data.storage), hashlib.sha256()
    needed = sum(len(strain) * strain[0].size for _, strain in pieces) * dtype.itemsize
    _check_space(path.parent, needed)
    path.with_suffix(".json").unlink(missing_ok=True)
    partial, table, first = path.with_suffix(".partial"), [], 0
    with partial.open("wb") as file:
        for number, strain in pieces:
            content = np.asarray(as_stored(np.stack(strain), data.storage)).tobytes()
            digest.update(content)
            file.write(content)
            table.append(Piece(first, strain[0].size, number))
            first += len(strain) * strain[0].size
        file.flush()
        os.fsync(file.fileno())
    partial.replace(path)
    described = {"format": FORMAT, "sha256": digest.hexdigest(), "pieces": table}
    partial.write_text(json.dumps(described), encoding="utf-8")
    partial.replace(path.with_suffix(".json"))
    log.info("noise to stream: %s, %.0f MB, may be deleted after the run", path, needed / 1e6)


def _check_space(folder: Path, needed: int) -> None:
    free = shutil.disk_usage(folder).free
    if free < needed:
        raise BankError(
            f"noise to stream needs {needed / 1e6:.4g} MB in {folder}, {free / 1e6:.4g} MB are "
            "free: make room, move the cache by LIGO_CACHE_DIR, or set data.storage=float16"
        )


def _make_room(own: Path) -> None:
    """Delete other noise, not used for longest first, while all takes more than `MOST_BYTES`.

    Noise that a process is about to write or open is left. Where a run still reads what is
    deleted, its pages stay until it ends; Windows refuses to delete it.
    """
    others = [p for p in own.parent.glob("noise-*.bin") if p != own]
    described = sorted((p.stat().st_mtime, p.stat().st_size, p) for p in others)
    total = own.stat().st_size + sum(size for _, size, _ in described)
    for _, size, path in described:
        if total <= MOST_BYTES:
            return
        try:
            with FileLock(path.with_suffix(".lock"), timeout=0):
                path.unlink(missing_ok=True)
                path.with_suffix(".json").unlink(missing_ok=True)
        except (Timeout, PermissionError):
            log.info("%s is in use and stays", path)
            continue
        total -= size
        log.info("%s deleted: noise to stream takes more than %g GB", path, MOST_BYTES / 1e9)


def _open(path: Path, data: DataConfig) -> NoiseCache | None:
    """Map the file if it is as its table says; otherwise say what is wrong with it."""
    table = path.with_suffix(".json")
    if not path.exists() and not table.exists():
        return None
    try:
        described = json.loads(table.read_text(encoding="utf-8"))
        pieces = tuple(Piece(*piece) for piece in described["pieces"])
        fault = _fault(path, described)
    except (OSError, ValueError, KeyError, TypeError) as error:
        fault = f"{type(error).__name__}: {error}"
    if fault:
        log.warning("%s is broken and written again: %s", path, fault)
        return None
    os.utime(path)  # used now
    samples = np.memmap(path, storage_type(data.storage), mode="r")
    return NoiseCache(path, samples, pieces, len(data.detectors))


def _fault(path: Path, described: dict[str, Any]) -> str:
    if described["format"] != FORMAT:
        return f"format {described['format']}, expected {FORMAT}"
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while part := file.read(READ_BYTES):
            digest.update(part)
    return "" if digest.hexdigest() == described["sha256"] else "its SHA-256 differs"
