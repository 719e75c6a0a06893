"""Read strain from frame files (GWF) with whichever reader is installed."""

import importlib
import importlib.util
import re
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from jaxtyping import Bool, Shaped

from ligo_cpc_snn.reading.errors import DAMAGED, reason
from ligo_cpc_snn.strain.errors import StrainFileError
from ligo_cpc_snn.strain.formats import sample_rate
from ligo_cpc_snn.strain.frame_structure import check_structure
from ligo_cpc_snn.strain.quality import NEEDED_INJECTION, NEEDED_QUALITY, bits_set, per_sample
from ligo_cpc_snn.strain.segments import StrainSegment, good_stretches

# GWOSC's channels: H1:GWOSC-4KHZ_R1_STRAIN, _DQMASK, _INJMASK; before O3 H1:LOSC-STRAIN.
STRAIN_CHANNEL = re.compile(r"(?P<stem>(?P<detector>[A-Z]\d):.*?)[-_]STRAIN$")
CHANNEL = re.compile(r"[A-Z]\d:.*[-_](STRAIN|DQMASK|INJMASK)$")
NO_READER = (
    "reading .gwf needs a frame library and none is installed: "
    "pip install 'ligo-cpc-snn[frames]', or use the HDF5 file of the same data"
)


Channel = tuple[str, float, float, Shaped[np.ndarray, "..."]]  # name, start, step in s, values


def read_frames(path: Path, detectors: Sequence[str] | None) -> list[StrainSegment]:
    """Read the usable strain of a frame file, with GWOSC's quality channels if it has them.

    Raises:
        StrainFileError: No frame library is installed, or the file cannot be read.
    """
    if importlib.util.find_spec("gwframe") is not None:
        reader = _with_gwframe
    elif importlib.util.find_spec("lalframe") or importlib.util.find_spec("LDAStools"):
        reader = _with_gwpy
    else:
        raise StrainFileError(path, NO_READER)
    check_structure(path)
    frames = reader(path)
    names = {name for frame in frames for name, *_ in frame}
    if not any(STRAIN_CHANNEL.match(name) for name in names):
        raise StrainFileError(path, f"no channel like H1:...STRAIN among {sorted(names)}")
    return [part for frame in frames for part in _read_frame(frame, path, detectors)]


def _read_frame(
    frame: list[Channel], path: Path, detectors: Sequence[str] | None
) -> list[StrainSegment]:
    """Return the usable strain of one frame."""
    segments: list[StrainSegment] = []
    for name, start, step, strain in frame:
        match = STRAIN_CHANNEL.match(name)
        if match is None or (detectors is not None and match["detector"] not in detectors):
            continue
        good = _good_samples(frame, match["stem"], strain.size)
        rate = sample_rate(step, path)
        whole = StrainSegment(
            match["detector"], start, rate, np.asarray(strain, np.float64), str(path)
        )
        segments += good_stretches(whole, good)
    return segments


def _good_samples(frame: list[Channel], stem: str, samples: int) -> Bool[np.ndarray, "time"]:
    """Return where the quality and injection channels beside the strain say it is good."""
    good = np.ones(samples, bool)
    for name, *_, mask in frame:
        if name.startswith(stem) and name.endswith("DQMASK"):
            good &= per_sample(bits_set(mask, NEEDED_QUALITY), samples)
        if name.startswith(stem) and name.endswith("INJMASK"):
            good &= per_sample(bits_set(mask, NEEDED_INJECTION), samples)
    return good


def _with_gwframe(path: Path) -> list[list[Channel]]:
    gwframe = importlib.import_module("gwframe")
    try:
        return [
            [(name, float(c.start), float(c.dt), c.array) for name, c in frame.items()]
            for frame in gwframe.read_frames(path)
        ]
    except Exception as error:  # its own errors are plain exceptions: "VerifyException"
        raise StrainFileError(path, f"not a readable frame file ({reason(error)})") from error


def _with_gwpy(path: Path) -> list[list[Channel]]:
    from gwpy.io.gwf import get_channel_names
    from gwpy.timeseries import TimeSeries

    try:
        names = [name for name in get_channel_names(path) if CHANNEL.match(name)]
        series = [TimeSeries.read(path, name, format="gwf") for name in names]
    except DAMAGED as error:
        raise StrainFileError(path, f"not a readable frame file ({reason(error)})") from error
    return [
        [
            (name, float(c.t0.value), float(c.dt.value), c.value)
            for name, c in zip(names, series, strict=True)
        ]
    ]
