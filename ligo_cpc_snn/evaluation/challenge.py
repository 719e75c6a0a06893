"""Files of the mock data challenge MLGWSC-1: strain, injections and events.

Strain: groups named by detector, one dataset per segment, named by its integer GPS start,
with attributes `start_time` and `delta_t`. Injections: 1-d datasets. Events: `time`, `stat`
and `var`. `strain.files.read_strain` reads the strain.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import h5py
import numpy as np
from jaxtyping import Float

from ligo_cpc_snn.reading.errors import FileContentError
from ligo_cpc_snn.reading.hdf5 import open_hdf5
from ligo_cpc_snn.strain.segments import Span

EVENT_DATASETS = ("time", "stat", "var")
NEEDED_OF_INJECTIONS = ("tc", "distance", "mass1", "mass2")
SETTINGS = "settings_hash"  # attribute: what the file was made of
SETTINGS_TEXT = "settings"  # attribute: the same in JSON

Table = dict[str, Float[np.ndarray, "n"]]


class ChallengeFileError(FileContentError):
    """A file of the challenge is damaged or not what it should be; says which kind it is."""

    def __init__(self, what: str, path: str | Path, reason: str) -> None:
        super().__init__(f"{what} {path}", reason)
        self.path = Path(path)


class Events(NamedTuple):
    """What a search found, in the order of its file.

    `gps` in s; `statistic`: larger is more signal-like; `tolerance`: of the time, in s.
    """

    gps: Float[np.ndarray, "n"]
    statistic: Float[np.ndarray, "n"]
    tolerance: Float[np.ndarray, "n"]


def read_events(path: str | Path) -> Events:
    """Read an events file.

    Raises:
        FileNotFoundError: There is no such file.
        ChallengeFileError: Datasets are missing, of different lengths, or not finite.
    """
    with _open(path, "events file") as file:
        missing = [name for name in EVENT_DATASETS if name not in file]
        if missing:
            raise ChallengeFileError(
                "events file",
                path,
                f"has no {', '.join(missing)}: expected 1-d datasets "
                f"{', '.join(EVENT_DATASETS)} (MLGWSC-1)",
            )
        columns = [np.asarray(file[name][()], np.float64) for name in EVENT_DATASETS]
    shapes = {column.shape for column in columns}
    if len(shapes) > 1 or columns[0].ndim != 1:
        raise ChallengeFileError(
            "events file", path, f"shapes {sorted(shapes)}, expected one length for all"
        )
    if not all(np.all(np.isfinite(column)) for column in columns):
        raise ChallengeFileError(
            "events file", path, "holds numbers that are not finite: leave them out"
        )
    return Events(*columns)


def read_injections(path: str | Path) -> tuple[Table, dict[str, Any]]:
    """Read injections; parameters that all share stand in the attributes.

    Returns:
        The 1-d datasets by name: `tc` (GPS s, at the geocentre), `distance` (Mpc), `mass1`,
        `mass2` (detector frame, solar masses) at least; and the attributes.

    Raises:
        FileNotFoundError: There is no such file.
        ChallengeFileError: One of those is missing, or there is no injection.
    """
    with _open(path, "injections file") as file:
        table = {
            name: np.asarray(file[name][()], np.float64)
            for name in file
            if isinstance(file[name], h5py.Dataset)
            if file[name].ndim == 1 and file[name].dtype.kind in "fiu"
        }
        attributes = dict(file.attrs)
    missing = [name for name in NEEDED_OF_INJECTIONS if name not in table]
    if missing or not table["tc"].size:
        what = f"has no {', '.join(missing)}" if missing else "holds no injection"
        raise ChallengeFileError(
            "injections file",
            path,
            f"{what}: expected 1-d datasets {', '.join(NEEDED_OF_INJECTIONS)} (MLGWSC-1)",
        )
    return table, attributes


def write_injections(path: str | Path, table: Table, attributes: Mapping[str, Any]) -> None:
    """Write injections, whole or not at all."""
    _write_table(path, table, attributes)


def write_segment(
    file: h5py.File,
    start: int,
    sample_rate_hz: int,
    strain: Mapping[str, Float[np.ndarray, "time"]],
) -> None:
    """Add a segment to an open strain file.

    Args:
        file: The file.
        start: GPS s of the first sample; it names the datasets.
        sample_rate_hz: Sample rate in Hz.
        strain: Of the same time in each detector.
    """
    for detector, values in strain.items():
        dataset = file.create_dataset(f"{detector}/{start}", data=values)
        dataset.attrs["start_time"] = float(start)
        dataset.attrs["delta_t"] = 1.0 / sample_rate_hz


def segment_spans(path: str | Path) -> list[Span]:
    """Return start and end in GPS s of the segments that all detectors of a strain file have."""
    with _open(path, "strain file") as file:
        groups = [file[name] for name in file if isinstance(file[name], h5py.Group)]
        common = set.intersection(*(set(group) for group in groups)) if groups else set()
        spans = [_span(groups[0][name]) for name in common]
    return sorted(spans)


def observed_seconds(path: str | Path) -> float:
    """Return the time that a strain file holds, in s."""
    return sum(end - start for start, end in segment_spans(path))


def settings_of(path: str | Path, attribute: str = SETTINGS) -> str | None:
    """Return the hash of the settings that a file was made of; None without file or hash.

    Args:
        path: Of the file.
        attribute: `SETTINGS_TEXT` gives the settings themselves.
    """
    if not Path(path).is_file():
        return None
    with _open(path, "file") as file:
        return str(file.attrs[attribute]) if attribute in file.attrs else None


def stamp(path: str | Path, settings: str) -> None:
    """Write into a file what it was made of."""
    with h5py.File(path, "r+") as file:
        file.attrs[SETTINGS] = settings


def _span(dataset: h5py.Dataset) -> Span:
    start = float(dataset.attrs["start_time"])
    end = start + dataset.size * float(dataset.attrs["delta_t"])
    if not -np.inf < start <= end < np.inf:  # NaN, too
        raise ValueError(f"{dataset.name} lasts from {start} to {end}")
    return start, end


@contextmanager
def _open(path: str | Path, what: str) -> Iterator[h5py.File]:
    if not Path(path).is_file():
        raise FileNotFoundError(f"{what} {path}: no such file")
    try:
        with open_hdf5(path) as file:
            yield file
    except ChallengeFileError:
        raise
    except FileContentError as error:
        raise ChallengeFileError(what, path, f"no HDF5 file, or {error.reason}") from error


def _write_table(path: str | Path, table: Mapping[str, Any], attributes: Mapping[str, Any]) -> None:
    path = Path(path)
    partial = path.with_name(f".{path.name}.partial")
    with h5py.File(partial, "w") as file:
        for name, values in table.items():
            file.create_dataset(name, data=np.asarray(values, np.float64))
        file.attrs.update(attributes)
    partial.replace(path)
