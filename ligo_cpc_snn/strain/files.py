"""Read recorded strain from a file or a folder of files."""

import logging
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from fnmatch import fnmatch
from pathlib import Path
from typing import NamedTuple

import h5py

from ligo_cpc_snn.reading.errors import FileContentError
from ligo_cpc_snn.reading.hdf5 import open_hdf5
from ligo_cpc_snn.strain.errors import DetectorUnknownError, StrainFileError
from ligo_cpc_snn.strain.formats import recordings
from ligo_cpc_snn.strain.frames import read_frames
from ligo_cpc_snn.strain.recordings import EVER
from ligo_cpc_snn.strain.segments import (
    Span,
    StrainSegment,
    join_contiguous,
    keep_spans,
    without_duplicates,
)

log = logging.getLogger(__name__)

HDF5_SUFFIXES = (".hdf5", ".hdf", ".h5")
FRAME_SUFFIXES = (".gwf",)
SUFFIXES = HDF5_SUFFIXES + FRAME_SUFFIXES


class Extent(NamedTuple):
    """What a file says of one stretch of its strain; times in GPS s."""

    path: Path
    detector: str
    start: float
    end: float
    sample_rate_hz: int
    usable: tuple[Span, ...]  # what its quality information leaves


def read_strain(
    path: str | Path, detectors: Sequence[str] | None = None, span: Span = EVER
) -> list[StrainSegment]:
    """Read the usable strain of one file.

    Stretches that are not finite, or that the file's own data-quality information rules
    out, are left out. Formats: GWOSC's HDF5; gwpy's HDF5; one group per detector (this
    project's context files, and the MLGWSC-1 challenge); one dataset with start time; GWF.

    Args:
        path: The file.
        detectors: Names wanted, all if not given. A single name also answers for a file
            that does not say which detector it is of.
        span: Time wanted, GPS s; of an HDF5 file nothing else is read.

    Returns:
        Segments of the wanted detectors, perhaps none.

    Raises:
        FileNotFoundError: There is no such file.
        StrainFileError: It is damaged, of no known format, or incomplete.
    """
    return _read(Path(path), detectors, _unnamed(detectors), span)


def survey(path: str | Path, detectors: Sequence[str] | None = None) -> list[Extent]:
    """Return when a file has strain, of an HDF5 file without reading its samples.

    Samples that are not finite are found when they are read. A frame file is read whole.

    Args:
        path, detectors: As in `read_strain`.

    Raises:
        FileNotFoundError: There is no such file.
        StrainFileError: As in `read_strain`.
    """
    path = Path(path)
    if path.suffix in FRAME_SUFFIXES:
        return [
            Extent(path, s.detector, *within, s.sample_rate_hz, (within,))
            for s in _read(path, detectors, None)
            for within in [(s.gps_start, s.gps_end)]
        ]
    with _opened(path) as file:
        return [
            Extent(path, r.detector, r.gps_start, r.gps_end, r.sample_rate_hz, tuple(r.usable()))
            for r in recordings(file, path, detectors, _unnamed(detectors))
        ]


def read_folder(
    folder: str | Path, detectors: Sequence[str], exclude: Sequence[str] = ()
) -> list[StrainSegment]:
    """Read all strain files in a folder and the folders in it.

    Files of other types are passed over, as are files without a wanted detector. Time that
    several files hold is taken from the one with the highest sample rate.

    Args:
        folder: The folder.
        detectors: Names wanted.
        exclude: Patterns of paths below the folder that are passed over, as `mlgwsc1/*`.

    Raises:
        FileNotFoundError: There is no such folder.
        StrainFileError: Files could not be read (all of them are named), or none was found.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise FileNotFoundError(f"data.strain_dir={folder}: no such folder")
    paths = strain_files(folder, exclude)
    if not paths:
        raise StrainFileError(folder, f"no file that ends in {', '.join(SUFFIXES)} in this folder")
    segments, problems = _read_all(folder, paths, detectors)
    if problems:
        raise StrainFileError(folder, "; ".join(problems))
    missing = sorted(set(detectors) - {segment.detector for segment in segments})
    if missing:
        raise StrainFileError(folder, f"no usable strain of {', '.join(missing)} in its files")
    return without_duplicates(join_contiguous(segments))


def strain_files(folder: Path, exclude: Sequence[str] = ()) -> list[Path]:
    """Return the strain files in a folder and the folders in it, but the excluded, by name."""
    return [p for p in _files(folder, SUFFIXES) if not _matches(p.relative_to(folder), exclude)]


def _files(folder: Path, suffixes: tuple[str, ...]) -> list[Path]:
    return sorted(p for p in folder.rglob("*") if p.suffix in suffixes and p.is_file())


def _matches(path: Path, patterns: Sequence[str]) -> bool:
    return any(fnmatch(path.as_posix(), pattern) for pattern in patterns)


def file_events(path: str | Path) -> dict[str, float]:
    """Return the events that a context file says are in it, with their GPS times in s."""
    try:
        with open_hdf5(path) as file:
            if "event" in file.attrs and "tgps" in file.attrs:
                return {str(file.attrs["event"]): float(file.attrs["tgps"])}
            return {}
    except FileContentError as error:
        raise StrainFileError(path, error.reason) from error


def folder_events(folder: str | Path, exclude: Sequence[str] = ()) -> dict[str, float]:
    """Return the events that the HDF5 files of a folder, but the excluded, say are in them."""
    folder = Path(folder)
    paths = [
        p for p in _files(folder, HDF5_SUFFIXES) if not _matches(p.relative_to(folder), exclude)
    ]
    return {name: gps for path in paths for name, gps in file_events(path).items()}


def _unnamed(detectors: Sequence[str] | None) -> str | None:
    """Return whose strain it is where a file does not say."""
    return detectors[0] if detectors is not None and len(detectors) == 1 else None


def _read(
    path: Path, detectors: Sequence[str] | None, unnamed: str | None, span: Span = EVER
) -> list[StrainSegment]:
    if path.suffix in FRAME_SUFFIXES:
        _check_there(path)
        return keep_spans(read_frames(path, detectors), [span])
    with _opened(path) as file:
        found = recordings(file, path, detectors, unnamed)
        return [segment for recording in found for segment in recording.read(span)]


def _check_there(path: Path) -> None:
    if not path.is_file():
        raise FileNotFoundError(f"strain file {path}: no such file")


@contextmanager
def _opened(path: Path) -> Iterator[h5py.File]:
    """Open an HDF5 file; what goes wrong within the block is said to be the file's fault."""
    _check_there(path)
    if not h5py.is_hdf5(path):
        raise StrainFileError(path, f"not an HDF5 file ({path.stat().st_size} bytes)")
    try:
        with open_hdf5(path) as file:
            yield file
    except FileContentError as error:
        raise StrainFileError(path, error.reason) from error


def _read_all(
    folder: Path, paths: Sequence[Path], detectors: Sequence[str]
) -> tuple[list[StrainSegment], list[str]]:
    """Return the segments of files and what is wrong with those that cannot be read."""
    segments: list[StrainSegment] = []
    problems: list[str] = []
    for path in paths:
        try:
            # In a folder, a file that names no detector is not taken for the one wanted.
            found = _read(path, detectors, unnamed=None)
        except DetectorUnknownError as error:
            log.warning("left out: %s", error)
            continue
        except StrainFileError as error:
            problems.append(f"{path.relative_to(folder)}: {error.reason}")
            continue
        if not found:
            log.info("%s: no usable strain of %s, left out", path, ", ".join(detectors))
        segments += found
    return segments, problems
