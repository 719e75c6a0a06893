"""What a search has done so far, on disk: it continues there after any end of its process.

Stretches of strain are searched in groups, and a group's files are complete before the one that
says so gets its name. A group that was under way is searched again, with the same stretches side
by side, so that its numbers are the same to the last bit.
"""

import hashlib
import io
import json
import logging
import os
import shutil
from collections.abc import Sequence
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any, NamedTuple

import jax
import numpy as np

from ligo_cpc_snn.errors import UserError
from ligo_cpc_snn.reading.arrays import load_arrays, map_array
from ligo_cpc_snn.reading.errors import FileContentError
from ligo_cpc_snn.search.engine import Searched
from ligo_cpc_snn.search.packed import PackedSpikes, pack
from ligo_cpc_snn.search.parameters import named
from ligo_cpc_snn.search.record import SearchedSpan
from ligo_cpc_snn.search.throughput import Throughput
from ligo_cpc_snn.search.trained import TrainedDetector
from ligo_cpc_snn.strain.replacing import write_whole

log = logging.getLogger(__name__)

SETTINGS = "settings.json"
PARTIAL = ".new"  # of files being written


class ProgressError(UserError):
    """The folder belongs to another search; the text is a single line."""


class Group(NamedTuple):
    """What was found in a few stretches; features are memory-mapped."""

    parts: tuple[Searched, ...]
    left_out: tuple[SearchedSpan, ...]
    throughput: Throughput


def begun(folder: Path) -> bool:
    """Return whether a search has left anything to go on from; settings alone are nothing."""
    return (folder / SETTINGS).exists() and any(folder.glob("*.npz"))


class Progress:
    """The folder `progress/` of a search.

    Args:
        folder: it is made if need be.
        settings: that decide the numbers.

    Raises:
        ProgressError: the folder is of other settings; names the first that differs.
    """

    def __init__(self, folder: Path, settings: dict[str, Any]) -> None:
        self.folder = folder
        folder.mkdir(exist_ok=True)
        for left in folder.glob(f"*{PARTIAL}"):
            left.unlink()
        file = folder / SETTINGS
        if begun(folder):
            _compare(folder, json.loads(file.read_text(encoding="utf-8")), settings)
        else:
            write_whole(file, json.dumps(settings, indent=1).encode())

    def load(self, key: str) -> Group | None:
        """Return a group that is complete; None if it is not, or not as it was written."""
        file = self.folder / f"{key}.npz"
        if not file.exists():
            return None
        try:
            return self._read(key, load_arrays(file))
        except (FileContentError, LookupError, TypeError, ValueError, OSError) as error:
            log.warning("%s is damaged (%s): its stretches are searched again", file, error)
            return None

    def _read(self, key: str, saved: dict[str, Any]) -> Group:
        about = json.loads(str(saved["about"]))
        parts = tuple(
            Searched(
                gps=saved[f"gps_{i}"],
                value=saved[f"value_{i}"],
                features=self._features(key, i, part.pop("features"), part.pop("sha256", None)),
                **part,
            )
            for i, part in enumerate(about["parts"])
        )
        left_out = tuple(SearchedSpan(**span) for span in about["left_out"])
        return Group(parts, left_out, Throughput(*about["throughput"]))

    def save(self, key: str, group: Group) -> Group:
        """Write a group and return it as `load` does."""
        arrays: dict[str, Any] = {}
        about = []
        for i, part in enumerate(group.parts):
            rest = part._asdict()
            arrays |= {f"gps_{i}": rest.pop("gps"), f"value_{i}": rest.pop("value")}
            kept = rest["features"]
            if isinstance(kept, np.ndarray) and kept.dtype == bool:
                kept = pack(kept)
            packed = isinstance(kept, PackedSpikes)
            if kept is not None:
                write_array(self._features_file(key, i), kept.bits if packed else kept)
                rest["sha256"] = _digest(self._features_file(key, i))
            about.append(rest | {"features": kept.channels if packed else kept is not None})
        left_out = [asdict(span) for span in group.left_out]
        text = {"parts": about, "left_out": left_out, "throughput": list(group.throughput)}
        body = io.BytesIO()
        np.savez(body, **arrays, about=np.array(json.dumps(text)))
        write_whole(self.folder / f"{key}.npz", body.getvalue())
        saved = self.load(key)
        assert saved is not None
        return saved

    def adopt(self, other: Path) -> int:
        """Move the groups of another folder here, and return their number.

        Raises:
            ProgressError: they were searched by other settings.
        """
        if not (other / SETTINGS).exists():
            return 0
        theirs = json.loads((other / SETTINGS).read_text(encoding="utf-8"))
        _compare(other, theirs, json.loads((self.folder / SETTINGS).read_text(encoding="utf-8")))
        groups = sorted(other.glob("*.npz"))
        for file in groups:
            # A group is complete when its own file is there: it comes after its features.
            for features in other.glob(f"{file.stem}-features-*.npy"):
                features.replace(self.folder / features.name)
            file.replace(self.folder / file.name)
        return len(groups)

    def require_space(self, needed_bytes: int) -> None:
        """Raise ProgressError where the disk does not hold what a search will keep here.

        Args:
            needed_bytes: of all of it; what is here already counts.
        """
        free, missing = shutil.disk_usage(self.folder).free, needed_bytes - self.bytes
        if missing > free:
            raise ProgressError(
                f"{self.folder} will take {missing / 1e6:,.0f} MB more and its disk has "
                f"{free / 1e6:,.0f} MB left: free some, give --output a folder of another disk, or "
                "set background.slides=0, which keeps no features"
            )

    @property
    def bytes(self) -> int:
        """Size of the folder."""
        return sum(file.stat().st_size for file in self.folder.iterdir())

    def _features_file(self, key: str, part: int) -> Path:
        return self.folder / f"{key}-features-{part}.npy"

    def _features(
        self, key: str, part: int, kept: bool | int, sha256: str | None
    ) -> np.ndarray | PackedSpikes | None:
        """Return features: `kept` says whether there are, or the channels of packed spikes.

        Raises:
            FileContentError: the file is not the one that was written; groups written before
                this was kept have no SHA-256 of it and are taken as they are.
        """
        if kept is False:
            return None
        file = self._features_file(key, part)
        if sha256 is not None and _digest(file) != sha256:
            raise FileContentError(file, "its SHA-256 differs from that of what was written")
        array = map_array(file)
        return array if kept is True else PackedSpikes(array, kept)


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def write_array(path: Path, array: np.ndarray) -> None:
    """Write an array whole or not at all, one too large to be held twice."""
    partial = path.with_name(path.name + PARTIAL)
    with partial.open("wb") as file:
        np.save(file, array)
        file.flush()
        os.fsync(file.fileno())
    partial.replace(path)


def key_of(parts: Sequence[Any]) -> str:
    """Return a name for what these values decide, the same in every process."""
    text = json.dumps(parts, sort_keys=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()[:24]


def fingerprint(detector: TrainedDetector) -> str:
    """Return the SHA-256 of all that decides a detector's numbers: its card does not."""
    apart = ("params", "card", "kernels")
    names = [field.name for field in fields(detector) if field.name not in apart]
    text = json.dumps({name: str(getattr(detector, name)) for name in names})
    sha = hashlib.sha256(text.encode())
    for name, leaf in sorted(named(detector.params).items()):
        array = np.ascontiguousarray(jax.device_get(leaf))
        sha.update(f"{name} {array.dtype.str} {array.shape}".encode())
        sha.update(array.tobytes())
    return sha.hexdigest()


def _compare(folder: Path, before: dict[str, Any], now: dict[str, Any]) -> None:
    differing = [
        f"{name}: {before.get(name)} -> {now.get(name)}"
        for name in dict.fromkeys([*before, *now])
        if before.get(name) != now.get(name)
    ]
    if differing:
        raise ProgressError(
            f"{folder} holds the progress of another search ({'; '.join(differing)}): give these "
            "as they were, or --output another folder, or name=another, or delete it to begin anew"
        )
