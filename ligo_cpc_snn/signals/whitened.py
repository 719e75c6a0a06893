"""Banks of whitened signals of unit network signal-to-noise ratio.

The Earth is at rest while a signal passes. Against one that turns with it, as
`projection.project` has it when given `times`, that costs signals of neutron stars of 160 s a
mismatch of 1.2e-5 (median; at most 4.3e-4): tests/test_signals_projection.py bounds both.
"""

from collections.abc import Mapping, Sequence
from functools import lru_cache, partial

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Key

from ligo_cpc_snn.chunked import Chunked, chunked
from ligo_cpc_snn.conditioning.whitening import WhiteningFilter, response
from ligo_cpc_snn.config.signals_schema import SignalsConfig
from ligo_cpc_snn.signals.detector_spectra import Grid, Wave, whitened_spectra
from ligo_cpc_snn.signals.double_precision import double_precision
from ligo_cpc_snn.signals.duration import check_duration
from ligo_cpc_snn.signals.population import draw
from ligo_cpc_snn.signals.waveforms import DISTANCE_MPC, prepare

CHUNK = 16  # signals at a time: their spectra stay in the processor's cache
# Right ascensions are drawn, so the Earth's rotation matters to no distribution.
GPS = 1126259462.4  # s, GW150914
SKY = ("right_ascension", "declination", "polarization")


def whitened_signals(
    key: Key[Array, ""],
    signals_cfg: SignalsConfig,
    *,
    count: int,
    detectors: Sequence[str],
    filters: Sequence[WhiteningFilter],
    sample_rate_hz: int,
    samples_before: int,
    samples_after: int,
    network_snr: float = 1.0,
    budget_bytes: int | None = None,
) -> tuple[Float[np.ndarray, "count detector time"], dict[str, Float[np.ndarray, "count ..."]]]:
    """Draw sources and return their whitened strain, cropped around the merger.

    The merger at the geocentre is at sample `samples_before`; in a detector it is earlier
    or later by up to 21 ms. The whole signal, before it is cropped, has the
    optimal network signal-to-noise ratio `network_snr`.

    Args:
        key: Random key; the first signals do not depend on the chunks they are made in.
        signals_cfg: Population, duration and reference frequency.
        count: Number of signals.
        detectors: Names.
        filters: One whitening filter per detector.
        sample_rate_hz: Sample rate in Hz.
        samples_before, samples_after: Length kept before and from the merger.
        network_snr: Optimal network signal-to-noise ratio.
        budget_bytes: Memory for the signals in the making; None: as much as `CHUNK` need.

    Returns:
        Whitened strain, float32, shape (count, detector, samples_before + samples_after),
        and the sources' parameters, with `optimal_snr`, shape (count, detector), and
        `network_snr`, shape (count,), at the drawn `distance` (1 Gpc where there is none).

    Raises:
        ValueError: A signal of the population, or the crop, does not fit
            `signals_cfg.duration_seconds`, or the filters do not fit the detectors.
    """
    samples = round(signals_cfg.duration_seconds * sample_rate_hz)
    _check_filters(detectors, filters, sample_rate_hz)
    _check_crop(signals_cfg, samples, samples_before, samples_after)
    filter_seconds = max(whitening.taps.size for whitening in filters) / sample_rate_hz
    check_duration(signals_cfg, _lowest_hz(filters), filter_seconds)
    drawn = draw(key, signals_cfg.population, count)
    sources = {name: np.asarray(values) for name, values in drawn.items()}
    lengths = samples, samples_before, samples_after
    strain, snr = _at_one_gpc(signals_cfg, sources, detectors, filters, lengths, budget_bytes)
    network = np.sqrt(np.sum(snr**2, axis=1))
    _check_loudness(network, sources)
    strain *= (network_snr / network).astype(np.float32)[:, None, None]
    closer = DISTANCE_MPC / sources.get("distance", np.full(count, DISTANCE_MPC))
    loudness = {"optimal_snr": snr * closer[:, None], "network_snr": network * closer}
    return strain, sources | loudness


def _at_one_gpc(
    signals_cfg: SignalsConfig,
    sources: Mapping[str, Float[np.ndarray, "count"]],
    detectors: Sequence[str],
    filters: Sequence[WhiteningFilter],
    lengths: tuple[int, int, int],
    budget_bytes: int | None,
) -> tuple[Float[np.ndarray, "count detector time"], Float[np.ndarray, "count detector"]]:
    """Return whitened strain around the merger of sources at 1 Gpc, and its whole norm.

    Args:
        lengths: Samples of the transform, and of those kept before and from the merger.
    """
    sample_rate_hz = filters[0].sample_rate_hz
    reference_hz, modes = signals_cfg.reference_hz, tuple(sorted(set(signals_cfg.modes)))
    frequencies = np.fft.rfftfreq(lengths[0], 1 / sample_rate_hz)
    responses = np.stack([response(whitening, frequencies) for whitening in filters])
    # Outside the band the response is nothing, so the waveform is not evaluated there.
    low, high = _band_indices(frequencies, filters)
    sky = {name: sources[name] for name in SKY}
    with double_precision():
        run = _chunks_of_signals(
            Wave(signals_cfg.approximant, modes, reference_hz, _lowest_hz(filters)),
            Grid(1 / signals_cfg.duration_seconds, low, high - low),
            tuple(detectors),
            lengths,
            budget_bytes,
            CHUNK,
        )
        read = prepare(signals_cfg.approximant, sources, reference_hz, modes)
        # Times the sample rate: a sample of strain is the transform's integral over f.
        kept = jnp.asarray(responses[:, low:high] * sample_rate_hz)
        strain, snr = run(read | sky, fixed=(kept,))
    return strain, snr


def _lowest_hz(filters: Sequence[WhiteningFilter]) -> float:
    return min(whitening.band_hz[0] for whitening in filters)


@lru_cache(maxsize=8)
def _chunks_of_signals(
    wave: Wave,
    grid: Grid,
    detectors: tuple[str, ...],
    lengths: tuple[int, int, int],
    budget_bytes: int | None,
    largest: int,
) -> Chunked:
    """Return what makes signals, `largest` at a time at most; kept, so that it compiles once."""
    samples, before, after = lengths
    compute = partial(
        _chunk_of_signals,
        wave=wave,
        grid=grid,
        detectors=detectors,
        samples=samples,
        before=before,
        after=after,
    )
    return chunked(compute, budget_bytes, largest=largest)


def _chunk_of_signals(
    responses: Float[Array, "detector frequency"],
    sources: Mapping[str, Float[Array, "n"]],
    *,
    wave: Wave,
    grid: Grid,
    detectors: tuple[str, ...],
    samples: int,
    before: int,
    after: int,
) -> tuple[Float[Array, "n detector time"], Float[Array, "n detector"]]:
    """Return whitened strain at 1 Gpc around the merger, float32, and its whole norm."""
    sources = {name: values.astype(jnp.float64) for name, values in sources.items()}
    spectrum = whitened_spectra(wave, grid, sources, responses, detectors, GPS)
    edges = (grid.first, samples // 2 + 1 - grid.first - grid.count)
    strain = jnp.fft.irfft(jnp.pad(spectrum, ((0, 0), (0, 0), edges)), samples)
    snr = jnp.sqrt(jnp.sum(strain**2, axis=-1))
    kept = jnp.concatenate([strain[..., samples - before :], strain[..., :after]], axis=-1)
    return kept, snr.astype(jnp.float64)


def _band_indices(
    frequencies: Float[np.ndarray, "frequency"], filters: Sequence[WhiteningFilter]
) -> tuple[int, int]:
    high = max(whitening.band_hz[1] for whitening in filters)
    first = np.searchsorted(frequencies, _lowest_hz(filters))
    return int(first), int(np.searchsorted(frequencies, high, side="right"))


def _check_filters(
    detectors: Sequence[str], filters: Sequence[WhiteningFilter], sample_rate_hz: int
) -> None:
    if len(filters) != len(detectors) or not detectors:
        raise ValueError(
            f"{len(filters)} whitening filters for detectors {list(detectors)}: expected one each"
        )
    rates = sorted({whitening.sample_rate_hz for whitening in filters} - {sample_rate_hz})
    if rates:
        raise ValueError(f"whitening filter for {rates[0]} Hz: expected {sample_rate_hz} Hz")


def _check_loudness(
    network: Float[np.ndarray, "count"], sources: Mapping[str, Float[np.ndarray, "count"]]
) -> None:
    if np.all(np.isfinite(network) & (network > 0)):
        return
    first = int(np.argmin(np.isfinite(network) & (network > 0)))
    if "mass_1" in sources:
        source = f"{sources['mass_1'][first]:g} and {sources['mass_2'][first]:g} solar masses"
        remedy = "lower data.signals.population's masses or data.highpass_hz"
    else:
        source = f"{sources['frequency_hz'][first]:g} Hz and Q {sources['quality'][first]:g}"
        remedy = "move data.signals.population.frequency_hz into the band"
    if network[first] == 0:
        raise ValueError(f"a source of {source} has no signal in the band: {remedy}")
    values = ", ".join(f"{name}={values[first]:g}" for name, values in sources.items())
    raise ValueError(
        f"a source of {source} has the SNR {network[first]}, no finite number: "
        f"data.signals.approximant does not hold for {values}; narrow data.signals.population"
    )


def _check_crop(signals_cfg: SignalsConfig, samples: int, before: int, after: int) -> None:
    if min(before, after) < 0 or not 0 < before + after <= samples:
        raise ValueError(
            f"{before} samples before the merger and {after} after it: expected 1 to {samples} "
            f"together, data.signals.duration_seconds={signals_cfg.duration_seconds:g}"
        )
