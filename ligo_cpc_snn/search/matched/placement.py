"""Stochastic placement of templates, and how well templates fit signals.

Reference: Harry, Allen and Sathyaprakash 2009, PRD 80, 104014: a proposal becomes a template
if it matches none that is there by as much as the minimal match.
"""

import logging
from dataclasses import dataclass

import numpy as np
from jaxtyping import Complex, Float

from ligo_cpc_snn.search.matched.waveform_nodes import WhitenedNodes

log = logging.getLogger(__name__)

BLOCK = 500  # proposals between two looks at how many were accepted
NEAR = 24  # templates that are matched with all nodes
STEEP = -3.0  # index of the masses of half of the proposals: light systems need more templates


@dataclass(frozen=True)
class BankRanges:
    """What a bank covers.

    Args:
        mass_low, mass_high: Of each body in the detector frame, solar masses.
        spin: Largest magnitude of an aligned spin; 0: none.
        minimal_match: Templates are placed until a proposal seldom matches less.
        uncovered: Share of proposals that may match less at the end.
    """

    mass_low: float = 10.0
    mass_high: float = 50.0
    spin: float = 0.0
    minimal_match: float = 0.97
    uncovered: float = 0.01

    def __post_init__(self) -> None:
        if not 0 < self.mass_low < self.mass_high:
            raise ValueError(
                f"masses from {self.mass_low:g} to {self.mass_high:g}: expected 0 < low < high"
            )
        if not (0 <= self.spin < 1 and 0 < self.minimal_match < 1 and 0 < self.uncovered < 1):
            raise ValueError(
                f"spin={self.spin:g}, minimal_match={self.minimal_match:g}, "
                f"uncovered={self.uncovered:g}: expected values between 0 and 1"
            )


def propose(
    rng: np.random.Generator, ranges: BankRanges, n: int, *, of_templates: bool = False
) -> dict[str, Float[np.ndarray, "n"]]:
    """Draw binaries: component masses and spins uniform.

    Templates have one spin for both bodies, for signals tell apart little more than a mean
    of the two (Ajith et al. 2011, PRL 106, 241101), and every other one has masses of a steep
    density.
    """
    low, high = ranges.mass_low, ranges.mass_high
    fraction = rng.random((2, n))
    flat = low + (high - low) * fraction
    power = STEEP + 1
    steep = (low**power + (high**power - low**power) * fraction) ** (1 / power)
    masses = np.where(of_templates & (np.arange(n) % 2 == 1), steep, flat)
    spins = rng.uniform(-1, 1, (2, n)) * ranges.spin
    return {
        "mass_1": masses.max(axis=0),
        "mass_2": masses.min(axis=0),
        "spin_1z": spins[0],
        "spin_2z": spins[0] if of_templates else spins[1],
    }


def place(
    rng: np.random.Generator, ranges: BankRanges, nodes: WhitenedNodes
) -> dict[str, Float[np.ndarray, "template"]]:
    """Return templates: proposals that matched no earlier one by the minimal match."""
    kept: list[dict[str, np.ndarray]] = []
    bank = np.zeros((BLOCK, nodes.frequencies.size), np.complex64)
    size = tried = 0
    while True:
        proposals = propose(rng, ranges, BLOCK, of_templates=True)
        accepted = []
        for i, wave in enumerate(nodes.waveforms(proposals)):
            if best_match(wave, bank[:size], nodes) < ranges.minimal_match:
                if size == len(bank):
                    bank = np.concatenate([bank, np.zeros_like(bank)])
                bank[size] = wave
                size += 1
                accepted.append(i)
        kept.append({name: values[accepted] for name, values in proposals.items()})
        tried += BLOCK
        log.info("template bank: %d templates of %d proposals", size, tried)
        if len(accepted) <= ranges.uncovered * BLOCK:
            return {name: np.concatenate([part[name] for part in kept]) for name in kept[0]}


def best_match(
    one: Complex[np.ndarray, "node"],
    bank: Complex[np.ndarray, "template node"],
    nodes: WhitenedNodes,
) -> float:
    """Return the best match of a waveform with a bank, 0 if it is empty."""
    if not len(bank):
        return 0.0
    near = nodes.nearest(one, bank, NEAR)
    return float(nodes.matches(one, bank[near]).max())


def fitting_factors(
    signals: Complex[np.ndarray, "signal node"],
    bank: Complex[np.ndarray, "template node"],
    nodes: WhitenedNodes,
) -> Float[np.ndarray, "signal"]:
    """Return the best match of each signal with a bank: the share of its SNR that is found."""
    return np.array([best_match(one, bank, nodes) for one in signals])
