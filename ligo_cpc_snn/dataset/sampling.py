"""Compose batches from banks on the device: noise crops, signals, their SNR and place.

`sample(banks, key, ...)` is a pure function made of gathers and one multiply-add: no
FFT, no host. Each detector's noise is cropped independently, so that every example is
a time slide and the data set is endless.
"""

from dataclasses import dataclass

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int, Key, UInt32

from ligo_cpc_snn.config.data_schema import DataConfig
from ligo_cpc_snn.dataset.banks import Banks, NoiseBank, SignalBank
from ligo_cpc_snn.types import Batch

LOUDEST_DECOY = 4.0  # times the loudness of a signal

Snr = Float[Array, ""] | Float[Array, "batch"] | float


@dataclass(frozen=True)
class Sampler:
    """How a batch is composed.

    Args:
        batch: examples.
        window: samples.
        merger: index of the merger in the banked signals.
        earliest, latest: samples from the window's start at which mergers are put.
        signal_fraction: of the examples that get a signal.
        decoy_fraction: of the noise examples that get a signal in one detector only, up to
            `LOUDEST_DECOY` times louder, and stay noise: what glitches are to a network
            that has met few, and why it must ask for both detectors.
    """

    batch: int
    window: int
    merger: int
    earliest: int
    latest: int
    signal_fraction: float
    decoy_fraction: float = 0.0

    def __call__(
        self,
        banks: Banks,
        key: Key[Array, ""],
        snr_min: Snr,
        snr_max: Snr,
    ) -> Batch:
        """Draw a batch; signals have network SNRs uniform in `snr_min` to `snr_max`.

        The range is one for the batch, or one for each of its examples.
        """
        of_numbers, of_noise, of_snr, of_decoy = jax.random.split(key, 4)
        n, psd = self.batch, jnp.asarray(banks.signals.psd)
        numbers = jax.random.bits(of_numbers, (2, n))
        index = _below(numbers[0], psd.shape[0])
        place = self.earliest + _below(numbers[1], self.latest + 1 - self.earliest)
        noise = draw_noise(banks.noise, of_noise, psd[index], self.window).astype(jnp.float32)
        # Signals are spread evenly over the batch, the same number in each.
        edges = jnp.floor(jnp.arange(n + 1) * self.signal_fraction + 1e-6)
        label = jnp.diff(edges).astype(noise.dtype)
        snr = jax.random.uniform(of_snr, (n,), noise.dtype, snr_min, snr_max)
        scale = (snr * label)[:, None]
        if self.decoy_fraction:
            scale += (snr * (1 - label))[:, None] * self._decoys(of_decoy, psd.shape[1])
        signal = self._crop(banks.signals, index, place)
        return Batch(noise + scale[..., None] * signal, label, snr * label)

    def _decoys(self, key: Key[Array, ""], detectors: int) -> Float[Array, "batch detector"]:
        """Return by how much each example is louder in its one detector; 0 elsewhere."""
        drawn, where, loudness = jax.random.uniform(key, (3, self.batch))
        factor = (drawn < self.decoy_fraction) * LOUDEST_DECOY**loudness
        return factor[:, None] * jax.nn.one_hot((where * detectors).astype(int), detectors)

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
    bank = jax.tree.map(jnp.asarray, bank)  # host arrays cannot be indexed while tracing
    detectors = jnp.arange(psd.shape[1])

    def one(bits: Array, number: Array, detector: Array) -> Array:
        edges = bank.bounds[detector]
        crop = edges[number] + _below(bits, edges[number + 1] - edges[number])
        cumulative = bank.cumulative[detector]
        stretch = jnp.searchsorted(cumulative, crop, side="right") - 1
        start = bank.starts[detector, stretch] + crop - cumulative[stretch]
        return jax.lax.dynamic_slice(bank.strain, (detector, start), (1, window))[0]

    return jax.vmap(jax.vmap(one), (0, 0, None))(jax.random.bits(key, psd.shape), psd, detectors)


def _below(bits: UInt32[Array, "*n"], bound: Int[Array, "*n"] | int) -> Int[Array, "*n"]:
    """Return integers from 0 to below `bound`.

    The remainder of 32 random bits: uneven by less than bound / 2^32, and a tenth of the
    program that `jax.random.randint` compiles to.
    """
    return (bits % jnp.asarray(bound, jnp.uint32)).astype(jnp.int32)


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
    """Return the sampler of a run's windows, with its own share of signals or the given one."""
    earliest, latest = _places(data)
    fraction = data.signals.signal_fraction if signal_fraction is None else signal_fraction
    return Sampler(
        batch,
        data.window_samples,
        signal_layout(data).before,
        earliest,
        latest,
        fraction,
        data.signals.decoy_fraction,
    )


def _places(data: DataConfig) -> tuple[int, int]:
    n, signals = data.window_samples, data.signals
    return round(signals.merger_earliest * n), min(round(signals.merger_latest * n), n - 1)
