"""The HDF5 formats that strain comes in, told apart and described."""

import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from ligo_cpc_snn.strain.errors import DetectorUnknownError, StrainFileError
from ligo_cpc_snn.strain.quality import NEEDED_INJECTION, NEEDED_QUALITY, bits_set
from ligo_cpc_snn.strain.recordings import Recording

HIGHEST_RATE_HZ = 1 << 20  # detectors have 16384
LATEST_GPS = 1e11  # s, the year 5000
# The in-painted bins of context files reach into their neighbours: twice the bins' width.
INPAINTED_HALF_WIDTH = 0.5  # s, about a bin's centre
NAME_PREFIX = re.compile(r"(?:[A-Z]-)?([A-Z]\d)[-_:]")  # H1-..., H-H1_..., H1:...


def recordings(
    file: h5py.File, path: Path, detectors: Sequence[str] | None, unnamed: str | None
) -> list[Recording]:
    """Find the strain of an open HDF5 file, whichever of the known formats it has.

    Args:
        file: The open file.
        path: Its path; its name may say which detector it is of.
        detectors: Names wanted, all if None.
        unnamed: Whose strain it is where the file does not say.

    Raises:
        StrainFileError: No known format, or something is missing.
    """
    if "strain/Strain" in file and "meta" in file:
        return list(_gwosc(file, path, detectors))
    groups = [name for name in file if isinstance(file[name], h5py.Group)]
    context = [name for name in groups if "strain" in file[name]]
    if context:
        wanted = [name for name in context if _is_wanted(name, detectors)]
        return [_context(file[name]["strain"], name, path) for name in wanted]
    timed = list(_timed_datasets(file))
    if not timed:
        raise StrainFileError(
            path,
            "HDF5, but no strain in a known layout: expected strain/Strain (GWOSC), a dataset with "
            "x0 and dx (gwpy), or datasets with start_time and delta_t",
        )
    return [found for one in timed for found in _timed(one, path, detectors, unnamed)]


def sample_rate(step: float, path: Path) -> int:
    """Return the sample rate in Hz for a step in s; it must be a whole number."""
    rate = round(1 / step) if step > 0.5 / HIGHEST_RATE_HZ and np.isfinite(step) else 0
    if not 1 <= rate <= HIGHEST_RATE_HZ or abs(step * rate - 1) > 1e-6:
        raise StrainFileError(
            path,
            f"sample spacing {step!r} s is no whole number of samples per s, up to "
            f"{HIGHEST_RATE_HZ}",
        )
    return rate


def _gwosc(file: h5py.File, path: Path, detectors: Sequence[str] | None) -> Iterator[Recording]:
    detector = _text(_required(file, "meta/Detector", path)[()])
    if not _is_wanted(detector, detectors):
        return
    dataset = file["strain/Strain"]
    rate = sample_rate(_number(dataset, "Xspacing", path), path)
    start = float(_required(file, "meta/GPSstart", path)[()])
    seconds = float(_required(file, "meta/Duration", path)[()])
    if dataset.size != round(seconds * rate):
        raise StrainFileError(
            path, f"{dataset.size} samples at {rate} Hz, meta/Duration says {seconds:g} s"
        )
    good = _quality(file, "DQ", "quality/simple", NEEDED_QUALITY, path)
    good &= _quality(file, "Inj", "quality/injections", NEEDED_INJECTION, path)
    yield _recording(dataset, detector, start, rate, path, good=good)


def _quality(
    file: h5py.File, prefix: str, group: str, needed: Sequence[str], path: Path
) -> np.ndarray:
    """Return per interval of the mask whether the needed bits that the file names are set."""
    names = _required(file, f"{group}/{prefix}Shortnames", path)[()]
    places = {_text(name): place for place, name in enumerate(names)}
    mask = _required(file, f"{group}/{prefix}mask", path)[()]
    if needed[0] not in places:
        raise StrainFileError(path, f"{group} has no bit {needed[0]}, only {', '.join(places)}")
    return bits_set(mask, needed, places)


def _context(dataset: h5py.Dataset, detector: str, path: Path) -> Recording:
    """Describe strain rebuilt around an event, without its tapered and in-painted parts."""
    start = _number(dataset, "x0", path)
    rate = sample_rate(_number(dataset, "dx", path), path)
    end = start + dataset.size / rate
    valid = dataset.attrs.get("valid_start", start), dataset.attrs.get("valid_end", end)
    bins = np.atleast_1d(np.asarray(dataset.attrs.get("low_rms_bins_s", []), np.float64))
    spans = [
        (start + centre - INPAINTED_HALF_WIDTH, start + centre + INPAINTED_HALF_WIDTH)
        for centre in bins
    ]
    outside = [(-np.inf, float(valid[0])), (float(valid[1]), np.inf)]
    unusable = tuple((float(a), float(b)) for a, b in spans + outside)
    return _recording(dataset, detector, start, rate, path, unusable=unusable)


def _timed_datasets(group: h5py.Group) -> Iterator[h5py.Dataset]:
    """Yield the datasets at any depth that carry a start and a step."""
    for name in group:
        item = group[name]
        if isinstance(item, h5py.Group):
            yield from _timed_datasets(item)
        elif {"x0", "dx"} <= set(item.attrs) or {"start_time", "delta_t"} <= set(item.attrs):
            yield item


def _timed(
    dataset: h5py.Dataset, path: Path, detectors: Sequence[str] | None, unnamed: str | None
) -> Iterator[Recording]:
    detector = _detector_of(dataset, path, unnamed)
    if not _is_wanted(detector, detectors):
        return
    start, step = ("x0", "dx") if "x0" in dataset.attrs else ("start_time", "delta_t")
    rate = sample_rate(_number(dataset, step, path), path)
    yield _recording(dataset, detector, _number(dataset, start, path), rate, path)


def _detector_of(dataset: h5py.Dataset, path: Path, unnamed: str | None) -> str:
    """Find the detector in the dataset's place or attributes, else in the file's name."""
    parts = [part for part in dataset.name.split("/") if part]
    if len(parts) > 1 and re.fullmatch(r"[A-Z]\d", parts[0]):
        return parts[0]
    labels = [_text(dataset.attrs[key]) for key in ("channel", "name") if key in dataset.attrs]
    for label in [*labels, parts[-1], path.name]:
        if match := NAME_PREFIX.match(label):
            return match[1]
    if unnamed is not None:
        return unnamed
    raise DetectorUnknownError(
        path, "does not say which detector it is of: begin its name with one, as H1-"
    )


def _recording(
    dataset: h5py.Dataset, detector: str, start: float, rate: int, path: Path, **rest: Any
) -> Recording:
    if dataset.ndim != 1 or dataset.size == 0 or dataset.dtype.kind != "f":
        raise StrainFileError(
            path,
            f"{dataset.name} is {dataset.dtype} of shape {dataset.shape}: expected a "
            "series of real numbers",
        )
    if not abs(start) < LATEST_GPS:  # NaN, too
        raise StrainFileError(path, f"{dataset.name} begins at {start!r}: expected GPS s")
    return Recording(dataset, detector, start, rate, str(path), **rest)


def _is_wanted(detector: str, detectors: Sequence[str] | None) -> bool:
    return detectors is None or detector in detectors


def _required(file: h5py.File, name: str, path: Path) -> h5py.Dataset:
    if name not in file:
        raise StrainFileError(path, f"{name} is missing, expected in a GWOSC file")
    return file[name]


def _number(dataset: h5py.Dataset, attribute: str, path: Path) -> float:
    if attribute not in dataset.attrs:
        raise StrainFileError(path, f"{dataset.name} has no attribute {attribute}")
    return float(dataset.attrs[attribute])


def _text(value: bytes | str) -> str:
    return value.decode() if isinstance(value, bytes) else str(value)
