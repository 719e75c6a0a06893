"""Banks of whitened signals."""

import jax
import numpy as np
import pytest

from ligo_cpc_snn.conditioning.whitening import WhiteningFilter, design_filter, whiten
from ligo_cpc_snn.config.signals_schema import (
    Approximant,
    Distribution,
    PopulationConfig,
    PriorConfig,
    SignalsConfig,
)
from ligo_cpc_snn.signals.double_precision import double_precision_device
from ligo_cpc_snn.signals.projection import project
from ligo_cpc_snn.signals.waveforms import polarizations
from ligo_cpc_snn.signals.whitened import CHUNK, GPS, whitened_signals
from ligo_cpc_snn.signals.whitened import _check_loudness as check_loudness
from ligo_cpc_snn.strain.curves import Asd, aligo_curve
from ligo_cpc_snn.strain.detectors import light_travel_time
from ligo_cpc_snn.strain.noise import coloured_noise

RATE = 2048
BAND = (20.0, 900.0)
DETECTORS = ("H1", "L1")
COUNT = CHUNK + 6
BEFORE, AFTER = 12288, 4096  # all of the 8 s


@pytest.fixture(scope="module")
def curves() -> list[Asd]:
    aligo = aligo_curve()
    bent = aligo.values * (1 + aligo.frequencies / 500)
    return [aligo, Asd(aligo.frequencies, bent, "aLIGO, worse at high frequencies")]


@pytest.fixture(scope="module")
def filters(curves: list[Asd]) -> list[WhiteningFilter]:
    return [design_filter(c.frequencies, c.values, RATE, 2.0, BAND) for c in curves]


@pytest.fixture(scope="module")
def bank(filters: list[WhiteningFilter]) -> tuple[np.ndarray, dict[str, np.ndarray]]:
    return make(filters)


def make(
    filters: list[WhiteningFilter], count: int = COUNT, **changes: object
) -> tuple[np.ndarray, dict[str, np.ndarray]]:
    arguments = {
        "count": count,
        "detectors": DETECTORS,
        "filters": filters,
        "sample_rate_hz": RATE,
        "samples_before": BEFORE,
        "samples_after": AFTER,
    }
    cfg = changes.pop("signals_cfg", SignalsConfig())
    return whitened_signals(jax.random.key(7), cfg, **(arguments | changes))


def test_shapes_types_and_unit_network_snr(
    bank: tuple[np.ndarray, dict[str, np.ndarray]],
) -> None:
    strain, parameters = bank
    assert strain.shape == (COUNT, 2, BEFORE + AFTER)
    assert strain.dtype == np.float32
    np.testing.assert_allclose(np.sum(strain**2, axis=(1, 2)), 1, rtol=1e-5)
    np.testing.assert_allclose(
        parameters["network_snr"], np.linalg.norm(parameters["optimal_snr"], axis=1)
    )
    assert not jax.config.read("jax_enable_x64")


def test_a_given_network_snr_scales_the_strain(
    filters: list[WhiteningFilter], bank: tuple[np.ndarray, dict[str, np.ndarray]]
) -> None:
    loud, _ = make(filters, network_snr=12.0)
    np.testing.assert_allclose(loud, 12 * bank[0], rtol=1e-5)


def test_optimal_snr_agrees_with_an_independent_integral(
    curves: list[Asd], bank: tuple[np.ndarray, dict[str, np.ndarray]]
) -> None:
    _, parameters = bank
    frequencies = np.fft.rfftfreq(8 * RATE, 1 / RATE)
    band = (frequencies >= 22) & (frequencies <= 855)  # inside the band's edges
    few = {name: values[:10] for name, values in parameters.items()}
    plus, cross = polarizations(Approximant.IMRPhenomD, few, frequencies[band], 20.0)
    h = np.asarray(project(plus, cross, few, frequencies[band], DETECTORS, GPS))
    for d, curve in enumerate(curves):
        density = 4 * np.abs(h[:, d]) ** 2 / curve.at(frequencies[band]) ** 2
        snr = np.sqrt(np.trapezoid(density, frequencies[band], axis=-1))
        snr = snr * 1000 / few["distance"]
        np.testing.assert_allclose(parameters["optimal_snr"][:10, d], snr, rtol=0.01)


def test_injecting_before_whitening_equals_adding_after(
    curves: list[Asd],
    filters: list[WhiteningFilter],
    bank: tuple[np.ndarray, dict[str, np.ndarray]],
) -> None:
    whitened, parameters = bank
    at_1_gpc = parameters["network_snr"] * parameters["distance"] / 1000
    frequencies = np.fft.rfftfreq(8 * RATE, 1 / RATE)
    few = {name: values[:4] for name, values in parameters.items()}
    plus, cross = polarizations(Approximant.IMRPhenomD, few, frequencies, 20.0, lowest_hz=BAND[0])
    h = np.asarray(project(plus, cross, few, frequencies, DETECTORS, GPS))
    strain = np.fft.irfft(h * RATE, axis=-1) * (10 / at_1_gpc[:4, None, None])
    merger = 20 * RATE
    for i in range(4):
        for d, (curve, whitening) in enumerate(zip(curves, filters, strict=True)):
            rng = np.random.default_rng(i)
            noise = coloured_noise(rng, curve, samples=32 * RATE, sample_rate_hz=RATE)
            injected = noise.copy()
            # The circle of the transform is unrolled so that the merger comes late in it.
            injected[merger - BEFORE : merger + AFTER] += np.roll(strain[i, d], BEFORE)
            before = whiten(injected, whitening)
            after = whiten(noise, whitening)
            start = merger - BEFORE - whitening.crop
            after[start : start + BEFORE + AFTER] += 10 * whitened[i, d]
            # A second from the circle's seam, where the two differ in what they know.
            inside = slice(start + RATE, start + BEFORE + AFTER - RATE)
            np.testing.assert_allclose(before[inside], after[inside], atol=1e-4)


def test_the_merger_is_where_it_should_be(filters: list[WhiteningFilter]) -> None:
    light = PopulationConfig(
        mass_1=PriorConfig(Distribution.fixed, 12.0),
        mass_2=PriorConfig(Distribution.fixed, 12.0),
        spin_1z=PriorConfig(Distribution.fixed, 0.0),
        spin_2z=PriorConfig(Distribution.fixed, 0.0),
    )
    cfg = SignalsConfig(population=light)
    strain, _ = make(filters, signals_cfg=cfg, samples_before=1000, samples_after=300)
    peak = np.argmax(np.abs(strain), axis=-1) - 1000
    assert np.abs(peak).max() < 0.030 * RATE  # the Earth's radius is 21 ms
    between = np.abs(peak[:, 0] - peak[:, 1]) / RATE
    assert between.max() < light_travel_time(DETECTORS) + 0.006
    assert between.max() > 0.004


def test_chunks_crops_and_repeats_give_the_same_signals(
    filters: list[WhiteningFilter],
    bank: tuple[np.ndarray, dict[str, np.ndarray]],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("ligo_cpc_snn.signals.whitened.CHUNK", 8)
    strain, parameters = make(filters, samples_before=1000, samples_after=24)
    np.testing.assert_array_equal(parameters["mass_1"], bank[1]["mass_1"])
    cropped = bank[0][..., BEFORE - 1000 : BEFORE + 24]
    np.testing.assert_allclose(strain, cropped, atol=1e-6)
    again, _ = make(filters, samples_before=1000, samples_after=24)
    np.testing.assert_array_equal(strain, again)


def test_what_cannot_be_made_is_an_error(filters: list[WhiteningFilter]) -> None:
    with pytest.raises(ValueError, match="1 whitening filters for detectors"):
        make(filters[:1])
    with pytest.raises(ValueError, match=r"20000 samples before .* data\.signals\.duration_sec"):
        make(filters, samples_before=20000)
    with pytest.raises(ValueError, match="chirp time"):
        make(filters, signals_cfg=SignalsConfig(duration_seconds=6.0), samples_before=100)
    with pytest.raises(ValueError, match="whitening filter for 2048 Hz: expected 4096 Hz"):
        make(filters, sample_rate_hz=4096)


def test_a_source_without_signal_in_the_band_is_an_error(filters: list[WhiteningFilter]) -> None:
    heavy = PopulationConfig(
        mass_1=PriorConfig(Distribution.fixed, 2000.0),
        mass_2=PriorConfig(Distribution.fixed, 1000.0),
    )
    with pytest.raises(ValueError, match="2000 and 1000 solar masses has no signal in the band"):
        make(filters, count=2, signals_cfg=SignalsConfig(population=heavy))


@pytest.mark.parametrize("platform", ["METAL", "mps", "cpu", "gpu"])
def test_signals_are_made_where_double_precision_is(
    platform: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(jax, "default_backend", lambda: platform)
    expected = jax.local_devices(backend="cpu" if platform in ("METAL", "mps") else None)[0]
    assert double_precision_device() == expected


@pytest.mark.parametrize(
    ("snr", "sources", "message"),
    [
        (0.0, {"mass_1": 2000.0, "mass_2": 1000.0}, "1000 solar masses has no signal in the band"),
        (np.nan, {"mass_1": 20.0, "mass_2": 10.0}, "SNR nan, no finite number.* mass_1=20"),
        (0.0, {"frequency_hz": 9.0, "quality": 4.0}, "9 Hz and Q 4 has no signal in the band"),
        (np.inf, {"frequency_hz": 90.0, "quality": 4.0}, "SNR inf, no finite number"),
    ],
)
def test_a_source_without_a_finite_snr_is_named(snr, sources, message) -> None:
    columns = {name: np.array([50.0, value]) for name, value in sources.items()}
    with pytest.raises(ValueError, match=message):
        check_loudness(np.array([8.0, snr]), columns)
