"""The cache's files: one detector's usable strain in a span of whole seconds, or its absence.

A file is named by what it holds and by the SHA-256 of its bytes, so a folder needs no index:
`H1-1126259446-32-<sha256>.hdf5`. What such a file does not hold of its span is known to be
unusable. `.none` files stand for seconds of which the server has no file.
"""

import hashlib
import io
import os
import re
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import h5py
import numpy as np
from igwn_segments import segment, segmentlist

from ligo_cpc_snn.errors import UserError
from ligo_cpc_snn.reading.errors import FileContentError
from ligo_cpc_snn.reading.hdf5 import open_bytes, open_hdf5
from ligo_cpc_snn.strain.replacing import write_whole
from ligo_cpc_snn.strain.seconds import within
from ligo_cpc_snn.strain.segments import StrainSegment

NAME = re.compile(
    r"(?P<detector>[A-Z][0-9])-(?P<start>[0-9]{1,11})-(?P<seconds>[0-9]{1,9})-(?P<sha256>[0-9a-f]{64})"
    r"\.(?P<kind>hdf5|none)"
)
# Samples are rounded to 24 bits for half of the bytes: from 20 to 1700 Hz that adds at most
# 2.1e-4 of the detectors' amplitude density, 6e-5 typically (tests/test_strain_cache.py).
STORED = np.float32
COMPRESSION = 1  # of gzip; higher levels gain under 1 %


class BrokenPieceError(UserError):
    """A file of the cache is not as it was written."""


@dataclass(frozen=True)
class Piece:
    """A file of the cache, as its name describes it.

    Args:
        path: Where it is.
        detector: Name.
        start: GPS s.
        seconds: Length of the span it tells about.
        sha256: Of its bytes, in hexadecimal digits.
    """

    path: Path
    detector: str
    start: int
    seconds: int
    sha256: str

    @property
    def span(self) -> segment:
        """Start and end, GPS s."""
        return segment(self.start, self.start + self.seconds)

    @property
    def absent(self) -> bool:
        """Whether it only tells that the server has no file of its span."""
        return self.path.suffix == ".none"

    def age(self) -> float:
        """Return the time since it was written or, with strain, last used, in s."""
        return time.time() - self.path.stat().st_mtime

    def touch(self) -> None:
        """Note that it is in use; that the server had no file is as old as the question."""
        if not self.absent:
            os.utime(self.path)


def piece(path: Path) -> Piece | None:
    """Read the name of a file; None if it is none of ours."""
    match = NAME.fullmatch(path.name)
    if match is None:
        return None
    return Piece(
        path, match["detector"], int(match["start"]), int(match["seconds"]), match["sha256"]
    )


def write_piece(
    folder: Path, detector: str, span: segment, segments: Sequence[StrainSegment], source: str
) -> Piece:
    """Write the usable strain of a span; segments lie within it and start at its samples.

    Args:
        folder: It exists.
        detector: Name.
        span: Whole seconds.
        segments: Of one sample rate; what they leave out is known to be unusable.
        source: Address of the file they come from.
    """
    body = io.BytesIO()
    with h5py.File(body, "w") as file:
        file.attrs.update({"detector": detector, "gps_start": int(span[0]), "source": source})
        for part in segments:
            first = round((part.gps_start - span[0]) * part.sample_rate_hz)
            stored = file.create_dataset(
                f"{first:010d}",
                data=part.strain.astype(STORED),
                shuffle=True,
                compression="gzip",
                compression_opts=COMPRESSION,
            )
            stored.attrs.update({"first_sample": first, "sample_rate_hz": part.sample_rate_hz})
    return _named(folder, detector, span, body.getvalue(), "hdf5")


def write_absence(folder: Path, detector: str, span: segment, host: str) -> Piece:
    """Note that the server has no file of a span."""
    body = f"{host} has no strain file of {detector} in {span[0]} to {span[1]}\n".encode()
    return _named(folder, detector, span, body, "none")


def is_sound(found: Piece) -> bool:
    """Return whether a file's bytes are those that were written."""
    with found.path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest() == found.sha256


def read_piece(found: Piece) -> list[StrainSegment]:
    """Read a file after checking its bytes, those very bytes.

    Raises:
        BrokenPieceError: It is not as it was written.
    """
    if found.absent:
        return []
    body = found.path.read_bytes()
    if hashlib.sha256(body).hexdigest() != found.sha256:
        raise BrokenPieceError(f"{found.path}: not as it was written (its SHA-256 differs)")
    try:
        with open_bytes(found.path, body) as file:
            return [_segment(dataset, found) for dataset in file.values()]
    except FileContentError as error:
        raise BrokenPieceError(f"{found.path}: not as it was written ({error.reason})") from error


def usable(found: Piece) -> segmentlist:
    """Return when a file has strain, from its headers alone: GPS s, to the sample."""
    if found.absent:
        return segmentlist()
    with open_hdf5(found.path) as file:
        return segmentlist(
            segment(start, start + dataset.size / dataset.attrs["sample_rate_hz"])
            for dataset in file.values()
            for start in [_gps_start(dataset, found)]
        ).coalesce()


def usable_within(pieces: Sequence[Piece], wanted: segmentlist) -> segmentlist:
    """Return when there is strain in the wanted seconds."""
    found = segmentlist(span for one in pieces for span in usable(one)).coalesce()
    return segmentlist(part for span in wanted for part in within(found, *span)).coalesce()


def _named(folder: Path, detector: str, span: segment, body: bytes, kind: str) -> Piece:
    sha256 = hashlib.sha256(body).hexdigest()
    seconds = int(span[1]) - int(span[0])
    path = folder / f"{detector}-{int(span[0])}-{seconds}-{sha256}.{kind}"
    write_whole(path, body)
    return Piece(path, detector, int(span[0]), seconds, sha256)


def _gps_start(dataset: h5py.Dataset, found: Piece) -> float:
    return float(found.start + dataset.attrs["first_sample"] / dataset.attrs["sample_rate_hz"])


def _segment(dataset: h5py.Dataset, found: Piece) -> StrainSegment:
    rate = int(dataset.attrs["sample_rate_hz"])
    strain = dataset[()].astype(np.float64)
    return StrainSegment(found.detector, _gps_start(dataset, found), rate, strain, str(found.path))
