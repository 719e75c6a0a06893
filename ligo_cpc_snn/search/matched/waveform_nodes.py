"""Waveforms on a few hundred frequencies: what templates are interpolated from, and matches.

Two waveforms that match differ by a phase that varies slowly with frequency: a sum over
geometric nodes is their overlap, at a hundredth of a Fourier transform's cost.
"""

from collections.abc import Mapping
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Complex, Float

from ligo_cpc_snn.search.matched.settings import APPROXIMANT
from ligo_cpc_snn.signals.aligned import amplitude_and_phase
from ligo_cpc_snn.signals.double_precision import double_precision
from ligo_cpc_snn.signals.waveforms import prepare
from ligo_cpc_snn.strain.curves import Asd

NODES = 512
HIGHEST_HZ = 1024.0
SHIFT_STEP = 0.4e-3  # s, between two times that are tried; between them a parabola
SHIFTS = 81
COARSE = 4  # every fourth node, every fourth shift: which templates are near
CHUNK = 128  # waveforms at a time, in one program: XLA takes 20 s for it

Parameters = Mapping[str, Float[np.ndarray, "n"]]
Waveforms = Complex[np.ndarray, "n node"]


def node_frequencies(lowest_hz: float) -> Float[np.ndarray, "node"]:
    """Return the nodes in Hz, in geometric progression."""
    return np.geomspace(lowest_hz, HIGHEST_HZ, NODES)


def amplitudes_and_phases(
    parameters: Parameters, lowest_hz: float
) -> tuple[Float[np.ndarray, "n node"], Float[np.ndarray, "n node"]]:
    """Return amplitude (strain/Hz, face on at 1 Gpc) and phase (rad) at the nodes, float64."""
    total = len(parameters["mass_1"])
    rows = prepare(APPROXIMANT, parameters, lowest_hz, ())
    with double_precision():
        frequencies = jnp.asarray(node_frequencies(lowest_hz), jnp.float64)
        parts = []
        for first in range(0, total, CHUNK):
            chosen = np.minimum(np.arange(first, first + CHUNK), total - 1)
            sources = {n: jnp.asarray(row[chosen], jnp.float64) for n, row in rows.items()}
            parts.append([np.asarray(x) for x in _at_nodes(sources, frequencies, lowest_hz)])
    amplitude, phase = (np.concatenate(column)[:total] for column in zip(*parts, strict=True))
    return amplitude, phase


@partial(jax.jit, static_argnums=2)
def _at_nodes(
    sources: dict[str, Array], frequencies: Array, lowest_hz: float
) -> tuple[Float[Array, "n node"], Float[Array, "n node"]]:
    return amplitude_and_phase(APPROXIMANT, sources, frequencies, lowest_hz, lowest_hz)


class WhitenedNodes:
    """Nodes from `lowest_hz` up, with the weights of the noise-weighted inner product."""

    def __init__(self, curve: Asd, lowest_hz: float) -> None:
        self.lowest_hz = lowest_hz
        self.frequencies = node_frequencies(lowest_hz)
        width = np.gradient(self.frequencies)
        width[[0, -1]] /= 2  # the trapezoidal rule's ends
        self._root = np.sqrt(width) / curve.at(self.frequencies)
        shifts = SHIFT_STEP * (np.arange(SHIFTS) - SHIFTS // 2)
        turned = np.exp(2j * np.pi * self.frequencies[:, None] * shifts)
        self._turns = turned.astype(np.complex64)
        self._coarse_turns = np.ascontiguousarray(self._turns[::COARSE, ::COARSE])

    def waveforms(self, parameters: Parameters) -> Waveforms:
        """Return whitened waveforms of norm 1, complex64."""
        amplitude, phase = amplitudes_and_phases(parameters, self.lowest_hz)
        whitened = amplitude * self._root * np.exp(1j * phase)
        norm = np.linalg.norm(whitened, axis=1, keepdims=True)
        return (whitened / norm).astype(np.complex64)

    def matches(
        self, one: Complex[np.ndarray, "node"], others: Waveforms
    ) -> Float[np.ndarray, "n"]:
        """Return the overlaps with others, at most 1, largest over phase and time."""
        power = np.abs((np.conj(one) * others) @ self._turns) ** 2
        k = np.clip(np.argmax(power, axis=1), 1, SHIFTS - 2)
        before, at, after = (power[np.arange(len(k)), k + i] for i in (-1, 0, 1))
        bend = np.maximum(2 * at - before - after, 1e-12)
        return np.sqrt(np.clip(at + (after - before) ** 2 / (8 * bend), 0, 1))

    def nearest(
        self, one: Complex[np.ndarray, "node"], others: Waveforms, count: int
    ) -> np.ndarray:
        """Return which `count` others probably match best."""
        if len(others) <= count:
            return np.arange(len(others))
        product = np.conj(one[::COARSE]) * others[:, ::COARSE]
        rough = np.abs(product @ self._coarse_turns).max(axis=1)
        return np.argpartition(rough, -count)[-count:]
