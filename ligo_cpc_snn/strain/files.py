"""Read recorded strain from a file or a folder of files."""

import logging
from collections.abc import Sequence
from fnmatch import fnmatch
from pathlib import Path

import h5py

from ligo_cpc_snn.strain.errors import DetectorUnknownError, StrainFileError
from ligo_cpc_snn.strain.formats import read_hdf5
from ligo_cpc_snn.strain.frames import read_frames
from ligo_cpc_snn.strain.segments import StrainSegment, join_contiguous, without_duplicates

log = logging.getLogger(__name__)

HDF5_SUFFIXES = (".hdf5", ".hdf", ".h5")
FRAME_SUFFIXES = (".gwf",)


def read_strain(path: str | Path, detectors: Sequence[str] | None = None) -> list[StrainSegment]:
    """Read the usable strain of one file.

    Stretches that are not finite, or that the file's own data-quality information rules
    out, are left out. Formats: GWOSC's HDF5; gwpy's HDF5; one group per detector (this
    project's context files, and the MLGWSC-1 challenge); one dataset with start time; GWF.

    Args:
        path: The file.
        detectors: Names wanted, all if not given. A single name also answers for a file
            that does not say which detector it is of.

    Returns:
        Segments of the wanted detectors, perhaps none.

    Raises:
        FileNotFoundError: There is no such file.
        StrainFileError: It is damaged, of no known format, or incomplete.
    """
    unnamed = detectors[0] if detectors is not None and len(detectors) == 1 else None
    return _read(Path(path), detectors, unnamed)


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
    suffixes = HDF5_SUFFIXES + FRAME_SUFFIXES
    paths = [p for p in _files(folder, suffixes) if not _matches(p.relative_to(folder), exclude)]
    if not paths:
        raise StrainFileError(folder, f"no file that ends in {', '.join(suffixes)} in this folder")
    segments, problems = _read_all(folder, paths, detectors)
    if problems:
        raise StrainFileError(folder, "; ".join(problems))
    missing = sorted(set(detectors) - {segment.detector for segment in segments})
    if missing:
        raise StrainFileError(folder, f"no usable strain of {', '.join(missing)} in its files")
    return without_duplicates(join_contiguous(segments))


def _files(folder: Path, suffixes: tuple[str, ...]) -> list[Path]:
    return sorted(p for p in folder.rglob("*") if p.suffix in suffixes and p.is_file())


def _matches(path: Path, patterns: Sequence[str]) -> bool:
    return any(fnmatch(path.as_posix(), pattern) for pattern in patterns)


def file_events(path: str | Path) -> dict[str, float]:
    """Return the events that a context file says are in it, with their GPS times in s."""
    try:
        with h5py.File(path, "r") as file:
            if "event" in file.attrs and "tgps" in file.attrs:
                return {str(file.attrs["event"]): float(file.attrs["tgps"])}
            return {}
    except OSError as error:
        raise StrainFileError(path, f"truncated or damaged ({error})") from error


def folder_events(folder: str | Path, exclude: Sequence[str] = ()) -> dict[str, float]:
    """Return the events that the HDF5 files of a folder, but the excluded, say are in them."""
    folder = Path(folder)
    paths = [
        p for p in _files(folder, HDF5_SUFFIXES) if not _matches(p.relative_to(folder), exclude)
    ]
    return {name: gps for path in paths for name, gps in file_events(path).items()}


def _read(path: Path, detectors: Sequence[str] | None, unnamed: str | None) -> list[StrainSegment]:
    if not path.is_file():
        raise FileNotFoundError(f"strain file {path}: no such file")
    if path.suffix in FRAME_SUFFIXES:
        return read_frames(path, detectors)
    if not h5py.is_hdf5(path):
        raise StrainFileError(path, f"not an HDF5 file ({path.stat().st_size} bytes)")
    try:
        with h5py.File(path, "r") as file:
            return read_hdf5(file, path, detectors, unnamed)
    except OSError as error:  # h5py's for all that is truncated or does not decompress
        raise StrainFileError(path, f"truncated or damaged ({error})") from error


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
