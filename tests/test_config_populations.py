"""Populations as config: found, composed with experiments, and refused where they cannot be."""

from pathlib import Path

import pytest

from ligo_cpc_snn.config import compose
from ligo_cpc_snn.config.errors import ConfigError
from ligo_cpc_snn.config.help import help_text
from ligo_cpc_snn.config.overrides import groups
from ligo_cpc_snn.config.signals_schema import Approximant, Distribution, MassFrame, SpinKind
from ligo_cpc_snn.signals.duration import check_duration

ROOT = Path(__file__).resolve().parents[1]
NAMES = groups(ROOT / "conf")["population"]
EXPERIMENT = "# @package _global_\n# Does it?\n"
POPULATION = "# @package data.signals\n# Some.\n"


@pytest.fixture
def conf(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of configs with our root and none of our experiments and populations."""
    folder = tmp_path / "conf"
    for group in ("experiment", "population"):
        (folder / group).mkdir(parents=True)
    (folder / "config.yaml").write_text((ROOT / "conf" / "config.yaml").read_text())
    monkeypatch.setattr(compose, "config_dir", lambda: folder)
    return folder


def test_the_populations_there_are() -> None:
    challenge = {"mlgwsc1_ds1", "mlgwsc1_ds2", "mlgwsc1_ds3"}
    others = "uniform_components power_law_peak comoving_volume neutron_stars sine_gaussian"
    assert challenge | set(others.split()) <= set(NAMES)


@pytest.mark.parametrize("name", NAMES)
def test_every_population_says_what_it_is_and_fits_its_duration(name: str) -> None:
    lines = (ROOT / "conf" / "population" / f"{name}.yaml").read_text().splitlines()
    assert lines[0] == "# @package data.signals"
    assert lines[1].startswith("# ")
    assert f"  {name:<18} {lines[1][2:]}" in help_text("train", "Train.", ROOT / "conf")
    data = compose.load(["+experiment=quickstart", f"+population={name}"]).data
    check_duration(data.signals, data.highpass_hz, data.filter_seconds)


@pytest.mark.parametrize("order", [1, -1])
def test_a_population_joins_an_experiment_in_any_order(order: int) -> None:
    arguments = ["+experiment=quickstart", "+population=mlgwsc1_ds1"][::order]
    cfg = compose.load([*arguments, "data.signals.population.mass_1.low=12"])
    assert cfg.name == "quickstart"
    assert cfg.training.pretrain.steps == 150
    assert cfg.data.signals.population.mass_1.bounds == (12.0, 50.0)
    assert cfg.data.signals.population.spin_1z.kind is Distribution.fixed
    assert cfg.data.signals.approximant is Approximant.IMRPhenomXAS


def test_the_challenges_populations_are_as_published() -> None:
    signals = [compose.load([f"population=mlgwsc1_ds{i}"]).data.signals for i in (1, 2, 3)]
    for number, one in enumerate(signals, start=1):
        population = one.population
        for mass in (population.mass_1, population.mass_2):
            assert (mass.kind, mass.bounds) == (
                Distribution.uniform,
                (10.0 if number == 1 else 7.0, 50.0),
            )
        distance = population.distance
        assert (distance.kind, distance.index) == (Distribution.power_law, 2.0)
        assert distance.bounds == (130.0, 350.0)
        assert population.mass_frame is MassFrame.detector
        assert one.reference_hz == 20.0
    spins = [(one.population.spin_1z.bounds, one.population.spin_2z.bounds) for one in signals]
    assert spins[:2] == [((0.0, 0.0),) * 2, ((-0.99, 0.99),) * 2]
    precessing = signals[2].population
    assert precessing.spin_kind is SpinKind.precessing
    assert precessing.spin_1.bounds == precessing.spin_2.bounds == (0.0, 0.99)
    assert signals[0].approximant is signals[1].approximant is Approximant.IMRPhenomXAS
    assert signals[2].approximant is Approximant.IMRPhenomXPHM
    assert sorted(signals[2].modes) == ["21", "22", "32", "33", "44"]


def test_an_experiment_includes_a_population_and_the_command_line_replaces_it(conf: Path) -> None:
    (conf / "population" / "light.yaml").write_text(
        POPULATION + "duration_seconds: 32.0\npopulation:\n  mass_1: {low: 5.0}\n"
    )
    (conf / "population" / "heavy.yaml").write_text(POPULATION + "population: {mass_1: {low: 30}}")
    (conf / "experiment" / "x.yaml").write_text(
        EXPERIMENT
        + "defaults: [{/population@data.signals: light}, _self_]\n"
        + "data: {signals: {duration_seconds: 40.0}}\n"
    )
    signals = compose.load(["experiment=x"]).data.signals
    assert (signals.duration_seconds, signals.population.mass_1.low) == (40.0, 5.0)
    signals = compose.load(["experiment=x", "population=heavy"]).data.signals
    assert (signals.duration_seconds, signals.population.mass_1.low) == (40.0, 30.0)


@pytest.mark.parametrize(
    "text, message",
    [
        (POPULATION + "populaton: {}\n", "unknown key data.signals.populaton in conf/population"),
        (POPULATION + "population: {mass_1: {low: few}}\n", "mass_1.low=few in conf/population"),
        ("population: {}\n", "'# @package data.signals' as its first line"),
    ],
)
@pytest.mark.parametrize("through_experiment", [False, True])
def test_a_wrong_population_file_is_named(
    conf: Path, text: str, message: str, through_experiment: bool
) -> None:
    (conf / "population" / "wrong.yaml").write_text(text)
    (conf / "experiment" / "x.yaml").write_text(
        EXPERIMENT + "defaults: [{/population@data.signals: wrong}, _self_]\n"
    )
    with pytest.raises(ConfigError) as error:
        compose.load(["experiment=x" if through_experiment else "population=wrong"])
    assert message in str(error.value)


def test_a_wrong_name_lists_those_there_are() -> None:
    with pytest.raises(ConfigError) as error:
        compose.load(["+population=mlgwsc1_ds9"])
    assert f"there are {', '.join(NAMES)}; did you mean mlgwsc1_ds" in str(error.value)


KEY = "data.signals.population"
IMPOSSIBLE = [
    ([f"{KEY}.spin_kind=precessing"], "spin_kind=precessing with .*=IMRPhenomD, whose spins"),
    ([f"{KEY}.lambda_1.low=100"], "lambda_1 up to 100 with .* no tides: expected TaylorF2, IMR"),
    (
        ["+population=mlgwsc1_ds2", f"{KEY}.lambda_2={{kind: uniform, high: 500}}"],
        "lambda_2 up to 500 with data.signals.approximant=IMRPhenomXAS",
    ),
    (['data.signals.modes=["22"]'], "only IMRPhenomXPHM has modes"),
    (
        ["population=mlgwsc1_ds3", 'data.signals.modes=["23"]'],
        "modes has 23: expected some of 22, 21, 33, 32, 44; did you mean",
    ),
    (["population=mlgwsc1_ds3", 'data.signals.modes=["22","22"]'], "each mode may stand"),
    ([f"{KEY}.mass_1.low=0"], "mass_1 from 0 to 50: expected at least 0.1"),
    ([f"{KEY}.spin_1z.high=1.5"], "from -0.9 to 1.5: expected at least -1 and at most 1"),
    ([f"{KEY}.mass_ratio.high=2"], "mass_ratio from 0.2 to 2: expected .* at most 1"),
    ([f"{KEY}.smallest_mass_2=5"], "mass_kind=components: raise mass_1.low and mass_2.low"),
    (
        [f"{KEY}.mass_kind=ratio", f"{KEY}.smallest_mass_2=11"],
        "smallest_mass_2=11: expected 0 to 10, the lightest mass_1 times",
    ),
    (
        [f"{KEY}.mass_kind=ratio", f"{KEY}.mass_ratio.smoothing=3"],
        "smoothing=3 without smallest_mass_2",
    ),
    (
        [f"{KEY}.mass_kind=ratio", f"{KEY}.mass_ratio.kind=sine"],
        "mass_ratio.kind=sine: expected fixed, uniform, log_uniform or power_law",
    ),
    (
        [f"{KEY}.distance_kind=chirp", f"{KEY}.distance.kind=comoving_volume"],
        "expected distance_kind=luminosity",
    ),
    ([f"{KEY}.mass_1.kind=comoving_volume"], "only a distance can be drawn so"),
    ([f"{KEY}.inclination.high=180"], "expected angles in rad from 0 to 3.1416"),
    ([f"{KEY}.mass_1.peak_fraction=0.1", f"{KEY}.mass_1.kind=power_law_peak"], "peak=0.0: expec"),
    (
        [f"{KEY}.mass_1.smoothing=41", f"{KEY}.mass_1.kind=power_law_peak"],
        "smoothing=41.0: expected low < high, and low",
    ),
    (
        ["data.signals.loudness=population", "training.finetune.snr.end_min=8"],
        "training.finetune.snr is given, but with data.signals.loudness=population",
    ),
]


@pytest.mark.parametrize("overrides, message", IMPOSSIBLE)
def test_what_cannot_be_is_refused(overrides: list[str], message: str) -> None:
    with pytest.raises(ConfigError, match=message) as error:
        compose.load(overrides)
    assert "\n" not in str(error.value)


def test_a_burst_may_have_any_binarys_settings() -> None:
    compose.load(["population=sine_gaussian", f"{KEY}.spin_kind=precessing"])


def test_loudness_of_the_population_with_default_phases_is_fine() -> None:
    compose.load(["population=mlgwsc1_ds1", "data.signals.loudness=population"])
