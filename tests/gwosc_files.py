"""Small strain files in GWOSC's layout."""

from pathlib import Path

import h5py
import numpy as np

RATE = 4096
QUALITY = ("DATA", "CBC_CAT1", "CBC_CAT2", "CBC_CAT3", "BURST_CAT1", "BURST_CAT2", "BURST_CAT3")
INJECTIONS = tuple(f"NO_{kind}_HW_INJ" for kind in ("CBC", "BURST", "DETCHAR", "CW", "STOCH"))


def file_name(detector: str, start: int, seconds: int) -> str:
    return f"{detector[0]}-{detector}_GWOSC_4KHZ_R1-{start}-{seconds}.hdf5"


def write_file(
    folder: Path,
    detector: str,
    start: int,
    seconds: int = 16,
    *,
    quality: dict[int, int] | None = None,
    injections: dict[int, int] | None = None,
    strain: np.ndarray | None = None,
    name: str | None = None,
) -> Path:
    """Write a file in GWOSC's layout: white noise of 1e-21, all bits set but CW injections'.

    Args:
        folder: Where; it exists.
        detector: Name.
        start: GPS s.
        seconds: Length.
        quality: Masks of single seconds, counted from the start.
        injections: The same for the injection bits.
        strain: Instead of the noise.
        name: Instead of GWOSC's.
    """
    path = folder / (name or file_name(detector, start, seconds))
    if strain is None:
        draw = np.random.default_rng([start, *detector.encode()])
        strain = 1e-21 * draw.standard_normal(seconds * RATE)
    masks = (
        ("simple", "DQ", QUALITY, 127, quality),
        ("injections", "Inj", INJECTIONS, 23, injections),
    )
    with h5py.File(path, "w") as file:
        file.create_dataset("strain/Strain", data=strain, compression="gzip", compression_opts=1)
        file["strain/Strain"].attrs["Xspacing"] = 1 / RATE
        file["meta/Detector"] = detector.encode()
        file["meta/GPSstart"], file["meta/Duration"] = start, seconds
        for group, prefix, names, usual, changed in masks:
            mask = np.full(seconds, usual, np.uint32)
            for second, value in (changed or {}).items():
                mask[second] = value
            file[f"quality/{group}/{prefix}mask"] = mask
            file[f"quality/{group}/{prefix}Shortnames"] = np.array(names, "S")
    return path
