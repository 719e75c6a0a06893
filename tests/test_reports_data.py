"""The section "Data" of the report: figures of what is recorded, and nothing of what is not."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from matplotlib.figure import Figure

from ligo_cpc_snn.reports import data_figures, glitch_figures, quality_figures
from ligo_cpc_snn.reports.figures import plots
from ligo_cpc_snn.reports.page import SECTIONS, write_report
from ligo_cpc_snn.reports.run_files import RunFiles, read_run
from ligo_cpc_snn.reports.theme import DARK, png

RATE = 1024
Arrays = dict[str, np.ndarray]


def _psds(rng: np.random.Generator) -> Arrays:
    f = np.linspace(20.0, 450.0, 400)
    spread = np.exp(0.2 * rng.normal(size=(6, 2, 1)))
    return {
        "psd_frequencies": f,
        "psd_asd": 1e-23 * spread * (1 + (60 / f) ** 4),
        "psd_detectors": np.array(["H1", "L1"]),
    }


def _population(rng: np.random.Generator) -> Arrays:
    names = ("mass_1", "mass_2", "chirp_mass", "mass_ratio", "chi_eff", "redshift")
    drawn = {f"population_{name}": rng.uniform(0.1, 1.0, 300) for name in names}
    distance = rng.uniform(100, 5000, 300)
    return drawn | {
        "population_chi_p": np.zeros(300),  # does not vary: not shown
        "population_distance": distance,
        "population_network_snr": 9000 / distance,
    }


def _glitches(rng: np.random.Generator) -> Arrays:
    time = (np.arange(2 * RATE) - RATE) / RATE
    rows = [
        np.exp(-((time / w) ** 2)) * np.sin(6.3 * f * time) for w, f in ((0.1, 60), (0.01, 200))
    ]
    return {
        "glitch_strain": np.repeat(rows, 3, axis=0),
        "glitch_family": np.array([0, 0, 0, 2, 2, 2]),
        "glitch_families": np.array(["sine_gaussian", "scattered_light", "blip"]),
        "sample_rate_hz": np.array(RATE),
        "transient_detector": np.array([0, 1, 1]),
        "transient_snr": np.array([7.5, 9.0, 200.0]),
        "transient_frequency_hz": np.array([30.0, 100.0, 200.0]),
    }


def _quality(rng: np.random.Generator) -> Arrays:
    count = 80
    detector = np.arange(count) % 2
    peak, power = rng.uniform(0.8, 1.2, count), rng.uniform(0.8, 1.2, (count, 2))
    reason = np.zeros(count, int)
    peak[6], reason[6] = 30.0, 1
    power[9, 1], reason[9] = 6.0, 3
    candidates = np.broadcast_to(np.geomspace(1, 30, 10), (2, 3, 10))
    return {
        "quality_gps": 1e9 + rng.permutation(count),
        "quality_detector": detector,
        "quality_detectors": np.array(["H1", "L1"]),
        "quality_set": np.arange(count) // 60,  # 60 of training, 20 of validation
        "quality_sets": np.array(["training", "validation", "test"]),
        "quality_peak_to_peak": peak,
        "quality_band_power": power,
        "quality_reason": reason,
        "quality_reasons": np.array(["kept", "peak to peak", "power 20-60 Hz", "power 60-400 Hz"]),
        "quality_threshold_peak_to_peak": np.array([3.0, 3.0]),
        "quality_threshold_band_power": np.array([[2.0, 2.0], [2.0, 1.5]]),
        "quality_candidates": candidates,
        "quality_errors": 0.01 + (np.log(candidates) - 1) ** 2,
    }


def _q_transform(rng: np.random.Generator) -> Arrays:
    return {
        "times": np.linspace(-0.4, 0.15, 40),
        "frequencies": np.geomspace(20, 400, 30),
        "before": rng.exponential(1, (2, 40, 30)),
        "after": rng.exponential(1, (2, 40, 30)),
        "detectors": np.array(["H1", "L1"]),
        "event_name": np.array("GW150914"),
    }


MAKERS = {"psds": _psds, "population": _population, "glitches": _glitches, "rejected": _quality}


@pytest.fixture
def data() -> Arrays:
    return {k: v for make in MAKERS.values() for k, v in make(np.random.default_rng(3)).items()}


def _files(folder: Path, data: Arrays) -> RunFiles:
    np.savez(folder / "data.npz", **data)
    np.savez(folder / "qtransform.npz", **_q_transform(np.random.default_rng(0)))
    (folder / "config.yaml").write_text("name: x\ndata:\n  detectors: [H1, L1]\n")
    return read_run(folder)


def test_section_stands_on_the_page_after_the_event(tmp_path: Path, data: Arrays) -> None:
    _files(tmp_path, data)
    text = write_report(tmp_path).read_text("utf-8")
    assert SECTIONS.index("Data") == SECTIONS.index("Event") + 1
    assert '<h2 id="data">Data</h2>' in text
    names = ("qtransform", "psds", "population", "rejected", "glitches", "transients")
    places = [text.index(f'<figure id="{name}">') for name in names]
    assert places == sorted(places)
    assert "could not be drawn" not in text
    assert {path.stem for path in (tmp_path / "figures").glob("*.png")} == set(names)
    assert "GW150914 before and after whitening" in text


@pytest.mark.parametrize("name", MAKERS)
def test_figures_appear_for_what_is_there(tmp_path: Path, name: str) -> None:
    np.savez(tmp_path / "data.npz", **MAKERS[name](np.random.default_rng(1)))
    shown = [plot.name for plot in plots(read_run(tmp_path)) if plot.section == "Data"]
    assert shown == (["glitches", "transients"] if name == "glitches" else [name])


def test_run_without_a_record_has_no_section_and_misses_nothing(tmp_path: Path) -> None:
    files = read_run(tmp_path)
    assert not [plot for plot in plots(files) if plot.section == "Data"]
    assert not [text for text in files.missing if "npz, the densities" in text]


def test_broken_record_is_named(tmp_path: Path) -> None:
    (tmp_path / "data.npz").write_bytes(b"PK\x03\x04")
    np.savez(tmp_path / "qtransform.npz", times=np.ones(2))
    missing = "\n".join(read_run(tmp_path).missing)
    assert (
        "data.npz, the densities, sources, glitches and rejected stretches: unreadable" in missing
    )
    assert "qtransform.npz, the Q-transform of the event: unreadable (arrays frequencies" in missing


def test_panels_name_their_axes(tmp_path: Path, data: Arrays) -> None:
    for plot in plots(_files(tmp_path, data)):
        if plot.name == "glitches":  # a grid: its outer panels name the axes
            continue
        for axes in plot.draw(DARK).get_axes():
            assert axes.get_xlabel() or axes.get_label() == "<colorbar>", plot.name
            assert axes.get_ylabel(), plot.name


def _titles(figure: Figure) -> list[str]:
    return [axes.get_title(loc="left") for axes in figure.get_axes()]


def test_band_and_median_are_those_of_the_curves(data: Arrays) -> None:
    figure = data_figures.spectral_densities(data)
    assert _titles(figure) == ["H1: 6 curves", "L1: 6 curves"]
    median = next(x for x in figure.get_axes()[1].get_lines() if x.get_label() == "median")
    np.testing.assert_allclose(median.get_ydata(), np.median(data["psd_asd"][:, 1], axis=0))
    one = data | {"psd_asd": data["psd_asd"][:1]}
    assert _titles(data_figures.spectral_densities(one))[0] == "H1: 1 curve"


def test_fixed_and_undefined_parameters_are_left_out(data: Arrays) -> None:
    data["population_chirp_mass"][:] = np.nan
    data["population_mass_1"][0] = np.nan
    shown = data_figures.shown_parameters(data)
    assert "chi_p" not in shown
    assert "chirp_mass" not in shown
    assert "mass_1" in shown
    assert len(png(data_figures.population(data))) > 5_000
    few = {"population_mass_1": np.arange(9.0)}
    assert len(data_figures.population(few).get_axes()) == 1


def test_bursts_have_a_scatter_plot_of_their_own() -> None:
    values = np.arange(1.0, 9.0)
    bursts = {f"population_{name}": values for name in ("frequency_hz", "quality")}
    labels = [a.get_xlabel() for a in data_figures.population(bursts).get_axes()]
    assert labels == ["frequency (Hz)", "frequency (Hz)", "quality Q"]


def test_scores_are_relative_to_their_own_thresholds_in_order_of_time(data: Arrays) -> None:
    relative = quality_figures.relative_scores(data, 0)
    own = data["quality_detector"] == 0
    order = np.argsort(data["quality_gps"][own])
    rejected = data["quality_reason"][own][order] > 0
    np.testing.assert_array_equal(relative > 1, rejected)
    assert relative.max() == pytest.approx(10.0)
    assert quality_figures.relative_scores(data, 1).max() == pytest.approx(4.0)


def test_what_was_cut_and_what_is_bad_and_kept_are_told_apart(data: Arrays) -> None:
    titles = _titles(quality_figures.rejected_stretches(data))
    first = "H1: 1 of 30 training stretches cut (3.3 %)"
    assert f"{first}\njudged bad, but kept: 0 of 10 of validation" in titles
    data["quality_reason"][70] = 1
    kept = "judged bad, but kept: 1 of 10 of validation"
    assert quality_figures.shares(data, 0, cut=True).endswith(kept)
    uncut = "none cut\njudged bad, but kept: 1 of 30 of training, 1 of 10 of validation"
    assert quality_figures.shares(data, 0, cut=False) == uncut


def test_noise_too_short_to_learn_from_draws(data: Arrays) -> None:
    data["quality_errors"] = np.full_like(data["quality_errors"], np.nan)
    data["quality_threshold_peak_to_peak"] = np.full(2, np.inf)
    assert len(png(quality_figures.rejected_stretches(data))) > 5_000


def test_families_without_a_glitch_get_no_column(data: Arrays) -> None:
    assert [name for name, _ in glitch_figures.families(data)] == ["Sine-Gaussian", "Blip"]
    assert len(glitch_figures.glitch_gallery(data).get_axes()) == 4


@pytest.mark.parametrize("draw", [glitch_figures.real_transients])
def test_transients_are_counted_by_detector(data: Arrays, draw: Callable[..., Figure]) -> None:
    legend = draw(data, ["H1", "L1"]).get_axes()[0].get_legend()
    assert [text.get_text() for text in legend.get_texts()] == ["H1: 1", "L1: 2"]
