"""What takes the place of plain noise in some of the examples without a signal.

One uniform number per example decides, so that the kinds exclude each other: a decoy, a
simulated glitch, a real transient, or noise that the model took for a signal.
"""

from dataclasses import dataclass
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int, Key, UInt32

from ligo_cpc_snn.dataset.banks import GlitchBank, HardCrops, Transients

LOUDEST_DECOY = 4.0  # times the loudness of a signal


@dataclass(frozen=True)
class Shares:
    """Shares of the examples without a signal, at most 1 together; the rest is plain noise.

    Args:
        decoy: get a signal in one detector only, up to `LOUDEST_DECOY` times louder: what
            glitches are to a network that has met few, and why it must ask for both detectors.
        synthetic: get a simulated glitch in one detector.
        real: get, in one detector, a crop that holds a transient of the noise itself.
        hard: are noise that the model took for signals.
        snr_min, snr_max: of simulated glitches, log-uniform.
    """

    decoy: float = 0.0
    synthetic: float = 0.0
    real: float = 0.0
    hard: float = 0.0
    snr_min: float = 5.0
    snr_max: float = 100.0

    @property
    def any(self) -> bool:
        """Whether an example may be anything but plain noise or a signal."""
        return bool(self.decoy or self.synthetic or self.real or self.hard)

    def __post_init__(self) -> None:
        total = self.decoy + self.synthetic + self.real + self.hard
        if total > 1 + 1e-6:
            raise ValueError(
                f"data.signals.decoy_fraction={self.decoy} and data.glitches.synthetic_fraction="
                f"{self.synthetic}, real_fraction={self.real}, hard_fraction={self.hard}: expected "
                "at most 1 together"
            )


class Negatives(NamedTuple):
    """Which examples are what, and random bits to draw from the banks with.

    `decoy` is by how much the signal is louder in its one detector, 0 elsewhere.
    """

    decoy: Float[Array, "batch detector"]
    synthetic: Bool[Array, "batch"]
    real: Bool[Array, "batch"]
    hard: Bool[Array, "batch"]
    bits: UInt32[Array, "3 batch"]


def draw_negatives(
    key: Key[Array, ""], shares: Shares, noise: Bool[Array, "batch"], detectors: int
) -> Negatives:
    """Draw what each example is; those that are not `noise` are none of these."""
    drawn, where, loudness = jax.random.uniform(key, (3, noise.size))
    sizes = (shares.decoy, shares.synthetic, shares.real, shares.hard)
    edges = np.cumsum([0.0, *sizes]).astype(np.float32)
    kinds = noise & (drawn >= edges[:-1, None]) & (drawn < edges[1:, None])
    detector = jax.nn.one_hot((where * detectors).astype(int), detectors)
    decoy = (kinds[0] * LOUDEST_DECOY**loudness)[:, None] * detector
    bits = jax.random.bits(jax.random.fold_in(key, 1), (3, noise.size))
    return Negatives(decoy, kinds[1], kinds[2], kinds[3], bits)


class Glitches(NamedTuple):
    """A banked glitch for each example: its loudness per detector, 0 where there is none."""

    row: Int[Array, "batch"]
    place: Int[Array, "batch"]  # of its middle, samples from the window's start
    snr: Float[Array, "batch detector"]
    psd: Int[Array, "batch detector"]


def draw_glitches(
    bank: GlitchBank,
    drawn: Negatives,
    shares: Shares,
    psd: Int[Array, "batch detector"],
    window: int,
) -> Glitches:
    """Draw a glitch for each example, and the PSDs of the noise that it needs.

    Args:
        bank: of which each row is for one detector and one PSD.
        drawn: which examples get one.
        shares: loudness.
        psd: numbers of the noise of the other examples.
        window: samples.
    """
    bank = jax.tree.map(jnp.asarray, bank)
    row, place = below(drawn.bits[0], bank.strain.shape[0]), below(drawn.bits[1], window)
    there = drawn.synthetic[:, None]
    detector = bank.detector[row][:, None] == jnp.arange(psd.shape[1])
    quiet, loud = np.log(shares.snr_min), np.log(shares.snr_max)
    snr = jnp.exp(quiet + (loud - quiet) * _unit(drawn.bits[2]))
    return Glitches(
        row,
        place,
        jnp.where(there & detector, snr[:, None], 0.0),
        jnp.where(there, bank.psd[row][:, None], psd),
    )


def glitch_strain(
    bank: GlitchBank, glitches: Glitches, window: int
) -> Float[Array, "batch detector time"]:
    """Crop the glitches so that their middles are at their places, as loud as drawn."""
    strain = jnp.asarray(bank.strain)
    if strain.shape[1] < 2 * window:
        raise ValueError(
            f"glitches of {strain.shape[1]} samples in the bank: expected at least {2 * window}, "
            "two windows, so that the middle can be anywhere in one"
        )

    def one(row: Array, start: Array) -> Array:
        return jax.lax.dynamic_slice(strain, (row, start), (1, window)).astype(jnp.float32)

    crops = jax.vmap(one)(glitches.row, strain.shape[1] // 2 - glitches.place)
    return glitches.snr[..., None] * crops


def place_transients(
    starts: Int[Array, "batch detector"], drawn: Negatives, transients: Transients
) -> Int[Array, "batch detector"]:
    """Return where crops begin; of some examples, one detector's holds a transient.

    Its noise may have another PSD than the other detectors': no signal needs them to agree.
    """
    transients = jax.tree.map(jnp.asarray, transients)
    index = below(drawn.bits[0], transients.first.shape[0])
    first, last = transients.first[index], transients.last[index]
    begin = first + below(drawn.bits[1], last - first + 1)
    detector = transients.detector[index][:, None] == jnp.arange(starts.shape[1])
    return jnp.where(drawn.real[:, None] & detector, begin[:, None], starts)


def place_hard(
    starts: Int[Array, "batch detector"], drawn: Negatives, hard: HardCrops
) -> Int[Array, "batch detector"]:
    """Return where crops begin; of some examples, those of a filled row of `hard`."""
    row = below(drawn.bits[0], jnp.maximum(hard.filled, 1))
    there = drawn.hard & (hard.filled > 0)
    return jnp.where(there[:, None], jnp.asarray(hard.starts)[row], starts)


def below(
    bits: UInt32[Array, "*n"], bound: Int[Array, "*n"] | Int[Array, ""] | int
) -> Int[Array, "*n"]:
    """Return integers from 0 to below `bound`.

    The remainder of 32 random bits: uneven by less than bound / 2^32, and a smaller program
    than `jax.random.randint`.
    """
    return (bits % jnp.asarray(bound, jnp.uint32)).astype(jnp.int32)


def _unit(bits: UInt32[Array, "*n"]) -> Float[Array, "*n"]:
    """Return numbers uniform in 0 to below 1; float32 holds 24 bits."""
    return (bits >> 8).astype(jnp.float32) * 2.0**-24
