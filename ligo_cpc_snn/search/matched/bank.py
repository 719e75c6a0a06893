"""A bank of templates: aligned-spin binaries, so many that none of a range is far from all."""

import io
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from jaxtyping import Float

from ligo_cpc_snn.search.matched.placement import BankRanges, fitting_factors, place, propose
from ligo_cpc_snn.search.matched.waveform_nodes import WhitenedNodes
from ligo_cpc_snn.strain.curves import Asd
from ligo_cpc_snn.strain.replacing import write_whole

PARAMETERS = ("mass_1", "mass_2", "spin_1z", "spin_2z")


@dataclass(frozen=True, eq=False)
class TemplateBank:
    """Templates and what they were made for.

    Args:
        parameters: mass_1 >= mass_2 in solar masses (detector frame), spin_1z, spin_2z.
        ranges: That the templates were placed in, with the minimal match.
        lowest_hz: Where templates begin, Hz.
        psd: Name of the spectral density of the matches.
        seed: Of the placement.
    """

    parameters: Mapping[str, Float[np.ndarray, "template"]]
    ranges: BankRanges
    lowest_hz: float
    psd: str
    seed: int

    @property
    def size(self) -> int:
        """How many templates there are."""
        return int(self.parameters["mass_1"].size)

    def save(self, path: str | Path) -> None:
        """Write an HDF5 file, whole or not at all: datasets of parameters, the rest attributes."""
        body = io.BytesIO()
        with h5py.File(body, "w") as file:
            for name in PARAMETERS:
                file[name] = self.parameters[name]
            settings = asdict(self.ranges)
            settings |= {"lowest_hz": self.lowest_hz, "psd": self.psd, "seed": self.seed}
            file.attrs.update(settings)
        write_whole(Path(path), body.getvalue())


def load_bank(path: str | Path) -> TemplateBank:
    """Read what `TemplateBank.save` wrote.

    Raises:
        FileNotFoundError: There is no such file.
        ValueError: It holds no bank.
    """
    if not Path(path).is_file():
        raise FileNotFoundError(f"template bank {path}: no such file; build_bank makes one")
    with h5py.File(path, "r") as file:
        missing = [name for name in PARAMETERS if name not in file]
        if missing:
            raise ValueError(
                f"template bank {path}: no dataset {missing[0]}, expected {', '.join(PARAMETERS)}"
            )
        parameters = {name: file[name][()] for name in PARAMETERS}
        named = {name: _plain(value) for name, value in file.attrs.items()}
    rest = {name: named.pop(name) for name in ("lowest_hz", "psd", "seed")}
    return TemplateBank(parameters, BankRanges(**named), **rest)


def build_bank(
    ranges: BankRanges, curve: Asd, *, lowest_hz: float = 20.0, seed: int = 0
) -> TemplateBank:
    """Place a bank by random proposals; the same seed gives the same bank.

    Args:
        ranges: Masses, spins and the minimal match.
        curve: Spectral density of the matches.
        lowest_hz: Where templates begin, Hz.
        seed: Of the proposals.
    """
    nodes = WhitenedNodes(curve, lowest_hz)
    placed = place(np.random.default_rng(seed), ranges, nodes)
    order = np.lexsort((placed["spin_1z"], placed["mass_1"] + placed["mass_2"]))
    ordered = {name: placed[name][order] for name in PARAMETERS}
    return TemplateBank(ordered, ranges, float(lowest_hz), curve.name, seed)


def check_bank(bank: TemplateBank, curve: Asd, *, signals: int, seed: int) -> dict[str, float]:
    """Return how well a bank covers random signals, uniform in component masses and spins.

    Args:
        bank: The bank.
        curve: Spectral density of the matches.
        signals: How many are drawn.
        seed: Of the signals; another than the bank's.

    Returns:
        `signals`, `fraction_above` the minimal match, and the `minimum`, `mean` and
        `first_percentile` of the fitting factors.
    """
    nodes = WhitenedNodes(curve, bank.lowest_hz)
    drawn = propose(np.random.default_rng(seed), bank.ranges, signals)
    factors = fitting_factors(nodes.waveforms(drawn), nodes.waveforms(bank.parameters), nodes)
    return {
        "signals": float(signals),
        "fraction_above": float(np.mean(factors >= bank.ranges.minimal_match)),
        "minimum": float(factors.min()),
        "mean": float(factors.mean()),
        "first_percentile": float(np.quantile(factors, 0.01)),
    }


def _plain(value: Any) -> Any:
    return value.item() if isinstance(value, np.generic) else value
