"""Spectral densities: the curves that noise is made with, and a record of those in use."""

import zlib
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Float

from ligo_cpc_snn.conditioning.whitening import WhiteningFilter, whitened_density
from ligo_cpc_snn.config.data_schema import DataConfig, PsdKind
from ligo_cpc_snn.strain.curves import Asd, aligo_curve, perturbed, read_asd

POINTS = 2000  # of a recorded curve
MOST = 64  # curves recorded, evenly chosen

Curves = dict[str, Asd]  # by detector


def target_curves(
    data: DataConfig, seed: int, name: str, own: Sequence[Mapping[str, Asd]] = ()
) -> list[Curves]:
    """Return the curves of simulated or recoloured noise: one set per PSD number.

    `fixed` gives one set. `drawn` gives `data.psd.count`, drawn for each detector on its own
    as in the mock data challenge's data set 3: none comes a second time before all came.
    `perturbed` gives as many smooth random variations of the fixed curves.

    Args:
        data: Kind, count and files.
        seed, name: Of the random stream.
        own: What is drawn from where `data.psd.files` gives nothing: estimates of recorded
            strain.

    Raises:
        ValueError: There is nothing to draw from.
    """
    kind, count = data.psd.kind, data.psd.count
    if kind is PsdKind.fixed:
        return [{detector: detector_curve(data, detector) for detector in data.detectors}]
    columns: list[list[Asd]] = []
    for detector in data.detectors:
        rng = np.random.default_rng([seed, zlib.crc32(f"psd {name} {detector}".encode())])
        if kind is PsdKind.drawn:
            known = _set_of(data, detector, own)
            columns.append([known[i] for i in _drawn(rng, len(known), count)])
        else:
            curve = detector_curve(data, detector)
            psd = data.psd
            columns.append(
                [
                    perturbed(curve, rng, rms=psd.perturbation, octaves=psd.perturbation_octaves)
                    for _ in range(count)
                ]
            )
    return [dict(zip(data.detectors, row, strict=True)) for row in zip(*columns, strict=True)]


def detector_curve(data: DataConfig, detector: str) -> Asd:
    """Return the design curve of a detector: its PSD file, or the analytic aLIGO curve."""
    path = data.synthetic.psd_files.get(detector)
    return read_asd(path) if path else aligo_curve(data.sample_rate_hz / 2)


class Psds(NamedTuple):
    """Amplitude densities in strain/sqrt(Hz) that the training noise was whitened with."""

    frequencies: Float[np.ndarray, "frequency"]
    asd: Float[np.ndarray, "number detector frequency"]
    detectors: tuple[str, ...]

    def arrays(self) -> dict[str, np.ndarray]:
        """Return the record as arrays to be saved."""
        return {
            "psd_frequencies": self.frequencies,
            "psd_asd": self.asd,
            "psd_detectors": np.array(self.detectors),
        }


def record_psds(
    filters: Sequence[Sequence[WhiteningFilter]], detectors: Sequence[str]
) -> Psds | None:
    """Return the densities that filters whiten, `MOST` of them at most; None without any.

    Args:
        filters: Of each PSD number, one per detector, all of one band.
        detectors: Names.
    """
    if not filters:
        return None
    chosen = np.unique(np.linspace(0, len(filters) - 1, MOST).round().astype(int))
    curves = [[whitened_density(f, POINTS) for f in filters[number]] for number in chosen]
    asd = np.array([[values for _, values in row] for row in curves])
    return Psds(curves[0][0][0], asd, tuple(detectors))


def _set_of(data: DataConfig, detector: str, own: Sequence[Mapping[str, Asd]]) -> list[Asd]:
    files = data.psd.files.get(detector, [])
    known = [read_asd(path) for path in files] or [curves[detector] for curves in own]
    if not known:
        raise ValueError(
            f"data.psd.kind=drawn without data.psd.files.{detector}: expected files of Hz and "
            "strain/sqrt(Hz) to draw from"
        )
    return known


def _drawn(rng: np.random.Generator, known: int, count: int) -> list[int]:
    """Return `count` numbers below `known`, each as often as the others or once more."""
    rounds = [rng.permutation(known) for _ in range(-(-count // known))]
    return [int(i) for i in np.concatenate(rounds)[:count]]
