"""The template bank: matches, placement, coverage, and its file."""

import json
from pathlib import Path

import numpy as np
import pytest

from ligo_cpc_snn.errors import UserError
from ligo_cpc_snn.search.matched import __main__ as command
from ligo_cpc_snn.search.matched.bank import (
    PARAMETERS,
    TemplateBank,
    build_bank,
    check_bank,
    load_bank,
)
from ligo_cpc_snn.search.matched.placement import BankRanges
from ligo_cpc_snn.search.matched.settings import MatchedFilterSettings
from ligo_cpc_snn.search.matched.templates import filter_grid
from ligo_cpc_snn.search.matched.waveform_nodes import WhitenedNodes
from ligo_cpc_snn.strain.curves import Asd, aligo_curve

FOLDER = Path(__file__).parent / "golden"
GOLDEN = json.loads((FOLDER / "matched.json").read_text())
SNR_GOLDEN = json.loads((FOLDER / "pycbc_snr.json").read_text())
CURVE = aligo_curve()
RANGES = BankRanges(30.0, 50.0, minimal_match=0.97, uncovered=0.02)


@pytest.fixture(scope="module")
def bank() -> TemplateBank:
    return build_bank(RANGES, CURVE, seed=3)


def test_matches_on_nodes_are_pycbcs() -> None:
    frequencies, asd = (np.array(SNR_GOLDEN["asd"][name]) for name in ("hz", "asd"))
    nodes = WhitenedNodes(Asd(frequencies, asd), 20.0)
    pairs = np.array([row["pair"] for row in GOLDEN["matches"]])
    one, other = (
        nodes.waveforms(dict(zip(PARAMETERS, rows.T, strict=True))) for rows in pairs.swapaxes(0, 1)
    )
    quick = np.array([nodes.matches(a, b[None])[0] for a, b in zip(one, other, strict=True)])
    exact = np.array([row["match"] for row in GOLDEN["matches"]])
    assert exact.min() < 0.95 < 0.99 < exact.max()  # near and far ones are compared
    np.testing.assert_allclose(quick, exact, atol=3e-3)


def test_the_bank_covers_its_ranges(bank: TemplateBank) -> None:
    covered = check_bank(bank, CURVE, signals=300, seed=99)
    assert covered["fraction_above"] >= 0.97
    assert covered["minimum"] > 0.95
    assert 5 < bank.size < 100
    # Without half of its templates it does not.
    fewer = {name: values[::4] for name, values in bank.parameters.items()}
    thin = TemplateBank(fewer, bank.ranges, bank.lowest_hz, bank.psd, bank.seed)
    assert check_bank(thin, CURVE, signals=300, seed=99)["fraction_above"] < 0.9


def test_templates_lie_in_the_ranges_and_apart(bank: TemplateBank) -> None:
    masses = bank.parameters["mass_1"], bank.parameters["mass_2"]
    assert np.all(masses[0] >= masses[1])
    assert masses[1].min() >= 30.0
    assert masses[0].max() <= 50.0
    assert not np.any(bank.parameters["spin_1z"])
    waves = WhitenedNodes(CURVE, 20.0).waveforms(bank.parameters)
    nodes = WhitenedNodes(CURVE, 20.0)
    for i, wave in enumerate(waves):
        others = np.delete(waves, i, axis=0)
        assert nodes.matches(wave, others).max() < RANGES.minimal_match + 1e-4


def test_the_seed_decides_and_the_file_keeps(bank: TemplateBank, tmp_path: Path) -> None:
    bank.save(tmp_path / "bank.hdf")
    again = load_bank(tmp_path / "bank.hdf")
    made = build_bank(RANGES, CURVE, seed=3)
    other = build_bank(RANGES, CURVE, seed=4)
    for name in PARAMETERS:
        np.testing.assert_array_equal(again.parameters[name], bank.parameters[name])
        np.testing.assert_array_equal(made.parameters[name], bank.parameters[name])
    assert not np.array_equal(other.parameters["mass_1"][:3], bank.parameters["mass_1"][:3])
    assert again.ranges == bank.ranges
    assert (again.lowest_hz, again.psd, again.seed) == (20.0, bank.psd, 3)


@pytest.mark.parametrize(
    "option,there",
    [
        ("--masses 30 60", "--masses 60.0: the bank .* has 50.0"),
        ("--spin 0.5", "--spin 0.5: the bank .* has 0.0"),
        ("--minimal-match 0.9", "--minimal-match 0.9: the bank .* has 0.97"),
        ("--asd ASD", "--asd .*curve.txt: the bank .* has "),
    ],
)
def test_options_that_contradict_a_bank_are_refused(
    option: str, there: str, tmp_path: Path
) -> None:
    some = {name: np.full(2, x) for name, x in zip(PARAMETERS, (40.0, 35.0, 0.0, 0.0), strict=True)}
    TemplateBank(some, RANGES, 20.0, CURVE.name, 3).save(tmp_path / "bank.hdf")
    np.savetxt(tmp_path / "curve.txt", [[10.0, 1e-23], [2000.0, 1e-23]])
    words = option.replace("ASD", str(tmp_path / "curve.txt")).split()
    files = [str(tmp_path / name) for name in ("strain.hdf", "events.hdf")]
    given = [*files, "--bank", str(tmp_path / "bank.hdf"), *words]
    with pytest.raises(UserError, match=there):
        command._run(command._parser().parse_args(given))


def test_a_bank_is_written_whole_or_not_at_all(tmp_path: Path) -> None:
    some = {name: np.ones(2) for name in PARAMETERS}
    TemplateBank(some, RANGES, 20.0, "x", 3).save(tmp_path / "bank.hdf")
    broken = TemplateBank({"mass_1": np.ones(2)}, RANGES, 20.0, "x", 3)
    with pytest.raises(KeyError):
        broken.save(tmp_path / "bank.hdf")
    assert load_bank(tmp_path / "bank.hdf").size == 2
    assert [path.name for path in tmp_path.iterdir()] == ["bank.hdf"]


def test_errors_say_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="no such file; build_bank makes one"):
        load_bank(tmp_path / "none.hdf")
    with pytest.raises(ValueError, match="expected 0 < low < high"):
        BankRanges(50.0, 10.0)
    with pytest.raises(ValueError, match="expected values between 0 and 1"):
        BankRanges(spin=1.0)
    with pytest.raises(ValueError, match="expected a power of two"):
        MatchedFilterSettings(window_seconds=0.1)
    with pytest.raises(ValueError, match="complex samples carry"):
        MatchedFilterSettings(snr_rate_hz=512)
    light = {"mass_1": np.array([3.0]), "mass_2": np.array([3.0])}
    light |= {"spin_1z": np.zeros(1), "spin_2z": np.zeros(1)}
    few = TemplateBank(light, BankRanges(), 20.0, "x", 0)
    with pytest.raises(ValueError, match="segment_seconds=32: the longest template lasts"):
        filter_grid(few, MatchedFilterSettings(segment_seconds=32))
