"""Files of a measurement: what is injected, into which noise, made once and the same again."""

from dataclasses import replace
from pathlib import Path

import h5py
import numpy as np
import pytest
from scipy import signal
from tiny import TINY

from ligo_cpc_snn.conditioning.whitening import design_filter, whiten
from ligo_cpc_snn.config.campaign_schema import CampaignConfig, InjectionConfig
from ligo_cpc_snn.config.compose import load
from ligo_cpc_snn.config.data_schema import PsdKind
from ligo_cpc_snn.evaluation.backgrounds import (
    KINDS,
    cut_below,
    segment_lengths,
    simulated_noise,
    slid_noise,
)
from ligo_cpc_snn.evaluation.campaign import make_campaign
from ligo_cpc_snn.evaluation.campaign_settings import month_limits, settings_hash
from ligo_cpc_snn.evaluation.challenge import (
    observed_seconds,
    read_events,
    read_injections,
    segment_spans,
)
from ligo_cpc_snn.evaluation.injections import Injector, arrival_times, from_table, to_table
from ligo_cpc_snn.search.outputs import write_events
from ligo_cpc_snn.search.triggers import Triggers
from ligo_cpc_snn.strain.curves import aligo_curve
from ligo_cpc_snn.strain.segments import StrainSegment

CHALLENGE = Path(__file__).parents[2] / "shared" / "data" / "mlgwsc1"
needs_challenge = pytest.mark.skipif(not CHALLENGE.is_dir(), reason=f"no folder {CHALLENGE}")
SOURCES = [
    "data.signals.population.distance_kind=chirp",
    "data.signals.population.distance.low=130",
    "data.signals.population.distance.high=350",
]


def small(**changes) -> CampaignConfig:
    """Two minutes at 512 Hz, in segments of a minute, with heavy sources."""
    settings = {"background_seconds": 120.0, "foreground_seconds": 120.0, "segment_seconds": 60.0}
    injections = InjectionConfig(spacing_seconds=10.0, spread_seconds=3.0, edge_seconds=6.0)
    data = load([*TINY, *SOURCES]).data
    cfg = CampaignConfig(data=data, injections=injections, noise_lowest_hz=20.0)
    return replace(cfg, **(settings | changes))


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    folder = tmp_path_factory.mktemp("campaign")
    return small(), make_campaign(small(), folder)


@pytest.mark.slow
@needs_challenge
def test_our_strain_is_the_challenges_own_injections() -> None:
    """Foreground less background of its data set 1: overlap above 0.999, equal loudness."""
    table, attributes = read_injections(CHALLENGE / "ds1_inj_300s.hdf")
    sources, gps = from_table(table, attributes)
    signals = load(["+population=mlgwsc1_ds1"]).data.signals
    curve = aligo_curve(1024.0)
    injector = Injector(signals, ("H1", "L1"), 2048, (20.0, 921.6))
    ours, snr = injector.inject(sources, gps, 1238205077.0, 614400, {"H1": curve, "L1": curve})
    whitening = design_filter(curve.frequencies, curve.values, 2048, 2.0, (20.0, 900.0))
    for row, name in enumerate(("H1", "L1")):
        with (
            h5py.File(CHALLENGE / "ds1_fg_300s.hdf") as fg,
            h5py.File(CHALLENGE / "ds1_bg_300s.hdf") as bg,
        ):
            theirs = fg[name]["1238205077"][()] - bg[name]["1238205077"][()]
        a, b = whiten(theirs, whitening), whiten(ours[name], whitening)
        for i in range(1, gps.size):  # the first is within the challenge's padding
            merger = round((gps[i] - 1238205077) * 2048) - whitening.crop
            near = slice(merger - 8 * 2048, merger + 2048)
            norm = np.linalg.norm(a[near]), np.linalg.norm(b[near])
            assert a[near] @ b[near] > 0.999 * norm[0] * norm[1], (name, i)
            assert norm[0] == pytest.approx(norm[1], rel=0.02)
            assert snr[i, row] == pytest.approx(norm[0], rel=0.05)


@needs_challenge
def test_the_challenges_files_are_read() -> None:
    background = CHALLENGE / "ds1_bg_300s.hdf"
    assert segment_spans(background) == [(1238205077.0, 1238205377.0)]
    assert observed_seconds(background) == 300
    table, attributes = read_injections(CHALLENGE / "ds1_inj_300s.hdf")
    sources, gps = from_table(table, attributes)
    ours = to_table(sources, gps)
    for name in ("mchirp", "chirp_distance", "q", "ra", "coa_phase", "tc"):
        np.testing.assert_allclose(ours[name], table[name], rtol=1e-5, err_msg=name)
    assert np.all(ours["mass1"] >= ours["mass2"])


def test_a_source_keeps_its_strain_when_its_time_is_a_day_later() -> None:
    """A sidereal day turns the Earth once: the same strain, wherever in a chunk it stands."""
    cfg = small()
    injector = Injector(cfg.data.signals, ("H1", "L1"), 512, cfg.data.band_hz)
    one = {"mass_1": 40.0, "mass_2": 30.0, "right_ascension": 1.0, "declination": 0.3}
    one |= {"polarization": 0.4, "inclination": 0.7, "phase": 1.0, "distance": 500.0}
    sources = {name: np.full(3, value) for name, value in one.items()}
    day = 86400 / 1.00273790935
    gps = 1126259462.4 + np.array([0.0, 20000.0, day])
    ((_, (now, other, later)),) = injector.chunks(sources, gps)
    size = np.abs(now).max()
    np.testing.assert_allclose(later, now, atol=1e-4 * size)
    assert np.abs(other - now).max() > 0.1 * size


def test_strain_arrives_when_it_should_between_samples_too() -> None:
    """A shift by a fraction of a sample is a shift: interpolated strain agrees."""
    cfg = small()
    injector = Injector(cfg.data.signals, ("H1", "L1"), 512, cfg.data.band_hz)
    one = {"mass_1": 40.0, "mass_2": 30.0, "right_ascension": 1.0, "declination": 0.3}
    one |= {"polarization": 0.4, "inclination": 0.7, "phase": 1.0, "distance": 500.0}
    sources = {name: np.array([value]) for name, value in one.items()}
    curves = dict.fromkeys(("H1", "L1"), aligo_curve(256.0))
    start = 1126259400.0
    strain = [
        injector.inject(sources, np.array([start + 5 + k / 1024]), start, 4096, curves)[0]["H1"]
        for k in (0, 1, 2)
    ]
    np.testing.assert_allclose(strain[2][1:], strain[0][:-1], atol=2e-3 * strain[0].max())
    between = signal.resample(strain[0], 2 * 4096)[1::2]
    np.testing.assert_allclose(strain[1][1:-1], between[:-2], atol=0.01 * strain[0].max())
    edge = np.array([start + 7.9])
    cut, _ = injector.inject(sources, edge, start, 4096, curves)
    whole, _ = injector.inject(sources, edge, start, 8192, curves)
    np.testing.assert_allclose(cut["H1"], whole["H1"][:4096], rtol=0, atol=0)


def test_arrivals_are_spaced_and_keep_off_the_edges() -> None:
    cfg = InjectionConfig(edge_seconds=30.0)
    times = arrival_times(np.random.default_rng(0), 1000.0, 8200.0, cfg)
    gaps = np.diff(times)
    assert 24 <= gaps.min() < gaps.max() <= 30
    assert 1030 <= times[0] <= 1054
    assert 8140 <= times[-1] <= 8170
    for seed in range(20):  # a short segment has one nevertheless
        short = arrival_times(np.random.default_rng(seed), 0.0, 70.0, cfg)
        assert short.size == 1
        assert 30 <= short[0] <= 40


def test_events_are_written_and_read(tmp_path) -> None:
    found = Triggers(np.array([3.0, 1.0]), np.array([5.0, 7.0]), np.zeros((2, 0)))
    write_events(tmp_path / "e.hdf", found, 0.3)
    events = read_events(tmp_path / "e.hdf")
    np.testing.assert_array_equal(events, [[3.0, 1.0], [5.0, 7.0], [0.3, 0.3]])
    with h5py.File(tmp_path / "bad.hdf", "w") as file:
        file["time"] = [1.0]
        file["stat"] = [1.0]
    with pytest.raises(ValueError, match="has no var"):
        read_events(tmp_path / "bad.hdf")
    write_events(tmp_path / "n.hdf", found._replace(statistic=np.array([np.nan, 1.0])), 0.3)
    with pytest.raises(ValueError, match="not finite"):
        read_events(tmp_path / "n.hdf")
    with pytest.raises(FileNotFoundError, match="no such file"):
        read_events(tmp_path / "none.hdf")


def test_simulated_noise_has_the_density_and_nothing_below_the_cut() -> None:
    cfg = small(background_seconds=256.0, segment_seconds=256.0)
    (segment,) = simulated_noise(cfg, "background")
    frequencies, power = signal.welch(segment.strain["H1"], 512, nperseg=4096)
    band = (frequencies > 22) & (frequencies < 240)
    expected = aligo_curve(256.0).at(frequencies)
    assert np.median(np.sqrt(power[band]) / expected[band]) == pytest.approx(1, rel=0.03)
    assert (
        np.sqrt(power[(frequencies > 1) & (frequencies < 18)]).max()
        < 1e-3 * np.sqrt(power[band]).max()
    )
    a, b = segment.strain.values()
    assert abs(np.corrcoef(a, b)[0, 1]) < 0.05


def test_segments_are_of_equal_length_and_apart() -> None:
    assert segment_lengths(7200, 7200) == [7200]
    assert segment_lengths(7201, 7200) == [3601, 3601]
    cfg = small()
    starts = {kind: [s.start for s in simulated_noise(cfg, kind)] for kind in KINDS}
    assert starts["background"][1] - starts["background"][0] > 60
    assert starts["foreground"][0] > starts["background"][-1] + 60


def test_perturbed_densities_differ_by_segment_and_are_those_of_the_noise() -> None:
    cfg = small()
    cfg.data.psd.kind, cfg.data.psd.perturbation = PsdKind.perturbed, 0.3
    first, second = simulated_noise(cfg, "background")
    f = np.geomspace(30, 200, 20)
    assert np.abs(np.log(first.curves["H1"].at(f) / second.curves["H1"].at(f))).max() > 0.1
    assert np.abs(np.log(first.curves["H1"].at(f) / first.curves["L1"].at(f))).max() > 0.1


def test_a_cut_curve_keeps_what_is_above() -> None:
    curve = aligo_curve()
    cut = cut_below(curve, 15.0)
    f = np.geomspace(15.1, 2000, 50)
    np.testing.assert_allclose(cut.at(f), curve.at(f), rtol=1e-3)
    assert cut.at(np.array([14.9]))[0] < 1e-27


def recorded(pieces: int, seconds: float = 20.0) -> list[dict[str, StrainSegment]]:
    """Stretches whose first samples tell the detector and the number of the piece."""
    rng, parts = np.random.default_rng(0), []
    for number in range(pieces):
        part = {}
        for row, name in enumerate(("H1", "L1")):
            strain = 1e-21 * rng.normal(size=round(seconds * 512))
            strain[0] = 10 * row + number
            part[name] = StrainSegment(name, 1000.0 * number, 512, strain, "test")
        parts.append(part)
    return parts


def test_slid_detectors_never_coincide_and_no_pair_comes_twice() -> None:
    cfg = small(background_seconds=240.0, foreground_seconds=240.0)
    pairs = {
        kind: [
            (round(s.strain["H1"][0]), round(s.strain["L1"][0] - 10))
            for s in slid_noise(recorded(6), cfg, kind)
        ]
        for kind in KINDS
    }
    together = pairs["background"] + pairs["foreground"]
    assert all(len(of_kind) == 12 for of_kind in pairs.values())
    assert all(a != b for a, b in together)
    assert len(set(together)) == len(together)


def test_too_little_recorded_strain_is_said() -> None:
    cfg = small(background_seconds=1000.0)
    with pytest.raises(ValueError, match=r"background_seconds=1000: time slides of 3 pieces"):
        list(slid_noise(recorded(3), cfg, "background"))


def test_a_campaign_is_noise_and_the_signals_of_its_table(made) -> None:
    cfg, files = made
    assert observed_seconds(files.background) == observed_seconds(files.foreground) == 120
    table, attributes = read_injections(files.injections)
    spans = segment_spans(files.foreground)
    inside = [any(a + 6 <= t <= b - 6 for a, b in spans) for t in table["tc"]]
    assert all(inside)
    assert 6 <= table["tc"].size <= 12
    injector = Injector(cfg.data.signals, ("H1", "L1"), 512, cfg.data.band_hz)
    sources, gps = from_table(table, attributes)
    for segment in simulated_noise(cfg, "foreground"):
        here = (gps >= segment.start) & (gps < segment.start + 60)
        few = {name: values[here] for name, values in sources.items()}
        signals, snr = injector.inject(few, gps[here], segment.start, 60 * 512, segment.curves)
        with h5py.File(files.foreground) as file:
            for name in ("H1", "L1"):
                left = file[name][str(segment.start)][()] - segment.strain[name]
                np.testing.assert_allclose(left, signals[name], atol=1e-26)
        np.testing.assert_allclose(
            np.sqrt(np.sum(snr**2, axis=1)), table["network_snr"][here], rtol=1e-6
        )


def test_the_same_settings_make_the_same_files_and_only_once(made, tmp_path) -> None:
    cfg, files = made
    written = [path.stat().st_mtime_ns for path in files]
    assert make_campaign(cfg, files.background.parent) == files
    assert [path.stat().st_mtime_ns for path in files] == written
    again = make_campaign(small(), tmp_path)
    for ours, theirs in zip(files, again, strict=True):
        assert ours.read_bytes() == theirs.read_bytes()
    with pytest.raises(ValueError, match=r"settings \(seed was 0, is 1\): give another name="):
        make_campaign(small(seed=1), files.background.parent)


def test_what_decides_the_files_decides_their_hash() -> None:
    base = small()
    same = small(searches=["a"], false_alarm_rates_per_month=[5.0], report=False)
    assert settings_hash(same) == settings_hash(base)
    longer = small(background_seconds=130.0)
    other = small()
    other.data.signals.population.mass_1.low = 26.0
    assert len({settings_hash(c) for c in (base, small(seed=1), longer, other)}) == 4


def test_a_volume_needs_distances_uniform_in_it(tmp_path) -> None:
    cfg = small()
    cfg.data.signals.population.distance.index = 1.0
    with pytest.raises(ValueError, match="uniform in volume"):
        make_campaign(cfg, tmp_path)


def test_a_months_limits_are_near_the_populations() -> None:
    population = load(["+population=mlgwsc1_ds1"]).data.signals.population
    distance, mass = month_limits(population)
    heaviest = 50 * 2**-0.2
    assert 0.97 * heaviest < mass < heaviest
    assert 0.97 < distance / (350 * (heaviest / (1.4 * 2**-0.2)) ** (5 / 6)) < 1
