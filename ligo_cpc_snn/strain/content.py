"""Whether a downloaded file is the one that was asked for, and its usable strain."""

from dataclasses import replace
from pathlib import Path

import h5py

from ligo_cpc_snn.reading.errors import FileContentError
from ligo_cpc_snn.reading.hdf5 import open_hdf5
from ligo_cpc_snn.strain.client import SAMPLE_RATE_HZ
from ligo_cpc_snn.strain.download import BrokenFileError
from ligo_cpc_snn.strain.errors import StrainFileError
from ligo_cpc_snn.strain.files import read_strain
from ligo_cpc_snn.strain.segments import StrainSegment
from ligo_cpc_snn.strain.sources import SourceFile


def check_content(path: Path, source: SourceFile) -> None:
    """Check that a file is HDF5 to its end and holds what its address says.

    Raises:
        BrokenFileError: It does not; the message continues `what the server sent is ...`.
    """
    if not h5py.is_hdf5(path):
        raise BrokenFileError("not an HDF5 file")
    try:
        with open_hdf5(path) as file:
            found = _described(file)
    except FileContentError as error:
        raise BrokenFileError(error.reason) from error
    if isinstance(found, KeyError):
        raise BrokenFileError(f"an HDF5 file that is not GWOSC strain ({found})") from found
    wanted = (source.detector, source.start, source.seconds, source.seconds * SAMPLE_RATE_HZ)
    names = ("detector", "GPS start", "seconds", "samples")
    wrong = [
        f"{name} {is_!r} instead of {should!r}"
        for name, is_, should in zip(names, found, wanted, strict=True)
        if is_ != should
    ]
    if wrong:
        raise BrokenFileError(f"strain of something else: {', '.join(wrong)}")


def read_content(path: Path, source: SourceFile) -> list[StrainSegment]:
    """Read the usable strain of a file.

    Raises:
        BrokenFileError: It is not what was asked for, or cannot be read to its end.
    """
    check_content(path, source)
    try:
        segments = read_strain(path, [source.detector])
    except StrainFileError as error:
        raise BrokenFileError(error.reason) from error
    return [replace(segment, source=source.url) for segment in segments]


def _described(file: h5py.File) -> tuple[str, int, int, int] | KeyError:
    try:
        return _description(file)
    except KeyError as error:
        return error


def _description(file: h5py.File) -> tuple[str, int, int, int]:
    detector = file["meta/Detector"][()]
    return (
        detector.decode() if isinstance(detector, bytes) else str(detector),
        int(file["meta/GPSstart"][()]),
        int(file["meta/Duration"][()]),
        int(file["strain/Strain"].size),
    )
