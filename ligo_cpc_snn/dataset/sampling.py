"""Compose batches from banks on the device: noise crops, signals, their SNR and place.

`sample(banks, key, ...)` is a pure function made of gathers and one multiply-add: no
FFT, no host. Each detector's noise is cropped independently, so that every example is
a time slide and the data set is endless.
"""

from dataclasses import dataclass

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int, Key

from ligo_cpc_snn.config.data_schema import DataConfig
from ligo_cpc_snn.config.signals_schema import Loudness
from ligo_cpc_snn.dataset.banks import Banks, HardCrops, NoiseBank, SignalBank
from ligo_cpc_snn.dataset.negatives import (
    Negatives,
    Shares,
    below,
    draw_glitches,
    draw_negatives,
    glitch_strain,
    place_hard,
    place_transients,
)
from ligo_cpc_snn.types import Batch

Snr = Float[Array, ""] | Float[Array, "batch"] | float
NO_NEGATIVES = Shares()


@dataclass(frozen=True)
class Sampler:
    """How a batch is composed.

    Args:
        batch: examples.
        window: samples.
        merger: index of the merger in the banked signals.
        earliest, latest: samples from the window's start at which mergers are put.
        signal_fraction: of the examples that get a signal.
        negatives: what the examples without a signal hold in place of plain noise.
        population: whether signals are as loud as their banked distances make them.
    """

    batch: int
    window: int
    merger: int
    earliest: int
    latest: int
    signal_fraction: float
    negatives: Shares = NO_NEGATIVES
    population: bool = False

    def __call__(
        self,
        banks: Banks,
        key: Key[Array, ""],
        snr_min: Snr,
        snr_max: Snr,
        hard: HardCrops | None = None,
        step: Int[Array, ""] | None = None,
    ) -> Batch:
        """Draw a batch; signals have network SNRs uniform in `snr_min` to `snr_max`.

        The range is one for the batch, or one for each of its examples; with `population`
        it is not used. A kind of negatives whose bank is empty stays plain noise. Given its
        number, a step takes the signals that follow those of the step before, so that each
        is shown as often as the others; otherwise, and for decoys, they are drawn.
        """
        of_numbers, of_noise, of_snr, of_negatives = jax.random.split(key, 4)
        n, psd = self.batch, jnp.asarray(banks.signals.psd)
        numbers = jax.random.bits(of_numbers, (2, n))
        index = below(numbers[0], psd.shape[0])
        place = self.earliest + below(numbers[1], self.latest + 1 - self.earliest)
        # Signals are spread evenly over the batch, the same number in each.
        edges = np.floor(np.arange(n + 1) * self.signal_fraction + 1e-6)
        label = jnp.asarray(np.diff(edges), jnp.float32)
        if step is not None:
            turn = step.astype(jnp.uint32) * np.uint32(edges[-1]) + edges[:-1].astype(np.uint32)
            index = jnp.where(label > 0, below(turn, psd.shape[0]), index)
        snr = jax.random.uniform(of_snr, (n,), jnp.float32, snr_min, snr_max)
        if self.population:
            snr = jnp.asarray(banks.signals.snr, jnp.float32)[index]
        scale = (snr * label)[:, None]
        if self.negatives.any:
            drawn = draw_negatives(of_negatives, self.negatives, label == 0, psd.shape[1])
            scale += snr[:, None] * drawn.decoy
            noise = self._noise(banks, of_noise, psd[index], drawn, hard)
        else:
            noise = draw_noise(banks.noise, of_noise, psd[index], self.window)
        signal = self._crop(banks.signals, index, place)
        return Batch(noise + scale[..., None] * signal, label, snr * label)

    def _noise(
        self,
        banks: Banks,
        key: Key[Array, ""],
        psd: Int[Array, "batch detector"],
        drawn: Negatives,
        hard: HardCrops | None,
    ) -> Float[Array, "batch detector time"]:
        """Crop noise and put glitches, transients and hard crops where they were drawn."""
        shares, glitches = self.negatives, None
        if shares.synthetic and banks.glitches.strain.shape[0]:
            glitches = draw_glitches(banks.glitches, drawn, shares, psd, self.window)
        starts = draw_starts(banks.noise, key, psd if glitches is None else glitches.psd)
        if shares.real and banks.transients.first.shape[0]:
            starts = place_transients(starts, drawn, banks.transients)
        if shares.hard and hard is not None:
            starts = place_hard(starts, drawn, hard)
        noise = gather_noise(banks.noise, starts, self.window)
        if glitches is None:
            return noise
        return noise + glitch_strain(banks.glitches, glitches, self.window)

    def _crop(
        self, bank: SignalBank, index: Int[Array, "batch"], place: Int[Array, "batch"]
    ) -> Float[Array, "batch detector time"]:
        strain = jnp.asarray(bank.strain)
        detectors = strain.shape[1]

        def one(i: Array, start: Array) -> Array:
            size = (1, detectors, self.window)
            return jax.lax.dynamic_slice(strain, (i, 0, start), size)[0].astype(jnp.float32)

        return jax.vmap(one)(index, self.merger - place)


def draw_noise(
    bank: NoiseBank, key: Key[Array, ""], psd: Int[Array, "batch detector"], window: int
) -> Float[Array, "batch detector time"]:
    """Crop noise of the numbered PSDs, each detector on its own, all crops equally likely."""
    return gather_noise(bank, draw_starts(bank, key, psd), window)


def draw_noise_windows(
    bank: NoiseBank, key: Key[Array, ""], window: int, batch: int
) -> tuple[Float[Array, "batch detector time"], Int[Array, "batch detector"]]:
    """Draw noise of the whole bank; the crops of a window have one PSD number.

    All crops of the first detector are equally likely, then all those of the same PSD of
    the others.

    Returns:
        Whitened noise, float32, and where its crops begin in `bank.strain`.
    """
    bounds = jnp.asarray(bank.bounds)
    of_number, of_starts = jax.random.split(key)
    crop = below(jax.random.bits(of_number, (batch,)), bounds[0, -1])
    number = jnp.searchsorted(bounds[0], crop, side="right") - 1
    psd = jnp.broadcast_to(number[:, None], (batch, bounds.shape[0])).astype(jnp.int32)
    starts = draw_starts(bank, of_starts, psd)
    return gather_noise(bank, starts, window), starts


def draw_starts(
    bank: NoiseBank, key: Key[Array, ""], psd: Int[Array, "batch detector"]
) -> Int[Array, "batch detector"]:
    """Draw where crops of the numbered PSDs begin, each detector on its own."""
    bank = jax.tree.map(jnp.asarray, bank)  # host arrays cannot be indexed while tracing
    detectors = jnp.arange(psd.shape[1])

    def one(bits: Array, number: Array, detector: Array) -> Array:
        edges = bank.bounds[detector]
        crop = edges[number] + below(bits, edges[number + 1] - edges[number])
        cumulative = bank.cumulative[detector]
        stretch = jnp.searchsorted(cumulative, crop, side="right") - 1
        return bank.starts[detector, stretch] + crop - cumulative[stretch]

    return jax.vmap(jax.vmap(one), (0, 0, None))(jax.random.bits(key, psd.shape), psd, detectors)


def gather_noise(
    bank: NoiseBank, starts: Int[Array, "batch detector"], window: int
) -> Float[Array, "batch detector time"]:
    """Crop `window` samples of each detector from `starts` on; float32 from any storage."""
    strain = jnp.asarray(bank.strain)

    def one(start: Array, detector: Array) -> Array:
        crop = jax.lax.dynamic_slice(strain, (detector, start), (1, window))[0]
        return crop.astype(jnp.float32)

    return jax.vmap(jax.vmap(one), (0, None))(starts, jnp.arange(starts.shape[1]))


@dataclass(frozen=True)
class SignalLayout:
    """Samples of a banked signal before and from its merger, that windows need."""

    before: int
    after: int


def signal_layout(data: DataConfig) -> SignalLayout:
    """Return how much of a signal the bank keeps for windows as `data` places them."""
    earliest, latest = _places(data)
    return SignalLayout(latest, data.window_samples - earliest)


def build_sampler(data: DataConfig, batch: int, signal_fraction: float | None = None) -> Sampler:
    """Return the sampler of a run's windows.

    Given `signal_fraction` it composes for evaluation: that share of signals, of the SNRs it
    is asked for, whatever `data.signals.loudness` says, and nothing but noise without them.
    """
    earliest, latest = _places(data)
    signals, glitches = data.signals, data.glitches
    common = (batch, data.window_samples, signal_layout(data).before, earliest, latest)
    if signal_fraction is not None:
        return Sampler(*common, signal_fraction)
    shares = Shares(
        signals.decoy_fraction,
        glitches.synthetic_fraction,
        glitches.real_fraction,
        glitches.hard_fraction,
        glitches.snr_min,
        glitches.snr_max,
    )
    population = signals.loudness is Loudness.population
    return Sampler(*common, signals.signal_fraction, shares, population)


def _places(data: DataConfig) -> tuple[int, int]:
    n, signals = data.window_samples, data.signals
    return round(signals.merger_earliest * n), min(round(signals.merger_latest * n), n - 1)
