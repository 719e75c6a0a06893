"""Which set a second belongs to: for ever the same, and no sample in two."""

import dataclasses
import logging
import re

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ligo_cpc_snn.config.data_schema import RealConfig
from ligo_cpc_snn.dataset.splits import (
    Set,
    by_set,
    check_shares,
    cut_between_sets,
    set_at,
    set_of_block,
)
from ligo_cpc_snn.strain.segments import StrainSegment

REAL = RealConfig(block_seconds=16, validation_fraction=0.3, test_fraction=0.2)


def segment(start: float, seconds: float, detector: str = "H1") -> StrainSegment:
    """Strain whose values are the GPS times of its samples."""
    times = start + np.arange(round(seconds * 8)) / 8
    return StrainSegment(detector, start, 8, times, "file")


def test_the_sets_are_fixed_for_ever() -> None:
    """Published splits depend on these: they hold on every platform and in every version."""
    letters = {Set.training: "t", Set.validation: "v", Set.test: "x"}
    found = [letters[set_of_block(n, 0.25, 0.25)] for n in range(8796870, 8796902)]
    assert "".join(found) == "vtttvxvtxvxtvxxttvvtttvvxxxxxvvx"
    assert set_of_block(-1, 0.5, 0.25) in Set


def test_shares_are_the_fractions_of_many_blocks() -> None:
    sets = [set_of_block(n, 0.2, 0.1) for n in range(20000)]
    assert sets.count(Set.validation) / 20000 == pytest.approx(0.2, abs=0.01)
    assert sets.count(Set.test) / 20000 == pytest.approx(0.1, abs=0.01)


@given(st.integers(0, 2**40), st.floats(0, 0.5), st.floats(0, 0.5), st.floats(0, 0.5))
def test_a_fraction_moves_only_what_it_must(block: int, one: float, other: float, test: float):
    less, more = sorted((one, other))
    before, after = set_of_block(block, less, test), set_of_block(block, more, test)
    assert after is before or (before is Set.training and after is Set.validation)
    before, after = set_of_block(block, test, less), set_of_block(block, test, more)
    assert after is before or (before is Set.training and after is Set.test)


SPANS = st.lists(st.tuples(st.integers(0, 2000), st.integers(1, 200)), min_size=1, max_size=4)


@settings(max_examples=40, deadline=None)
@given(SPANS, SPANS)
def test_adding_strain_moves_no_second(first, later) -> None:
    def sets_of(spans) -> dict[float, Set]:
        pieces = cut_between_sets([segment(a, length) for a, length in spans], REAL)
        groups = by_set(pieces, REAL)
        assert sum(len(group) for group in groups.values()) == len(pieces)
        return {t: kind for kind, group in groups.items() for s in group for t in s.strain}

    before, after = sets_of(first), sets_of(first + later)
    assert before == {t: after[t] for t in before}
    times = np.unique(np.concatenate([segment(a, length).strain for a, length in first]))
    assert sorted(before) == times.tolist()  # nothing is lost
    assert all(kind is set_at(t, REAL) for t, kind in before.items())


def test_detectors_out_of_phase_are_cut_at_the_same_time() -> None:
    real = dataclasses.replace(REAL, test_fraction=0.0)
    one, other = (cut_between_sets([segment(s, 400)], real) for s in (1000.0, 1000.05))
    assert len(one) == len(other) > 3
    for a, b in zip(one, other, strict=True):
        assert abs(a.gps_start - b.gps_start) < 1 / 8


def parts_of(seconds: float, real: RealConfig, start: float = 1000.0):
    groups = by_set(cut_between_sets([segment(start, seconds)], real), real)
    return {kind: [{"H1": s} for s in group] for kind, group in groups.items()}


def test_an_empty_set_is_an_error_with_a_remedy_that_works() -> None:
    real = RealConfig(block_seconds=4096, validation_fraction=0.25, test_fraction=0.2)
    with pytest.raises(ValueError, match="the strain is in 1 GPS blocks of") as error:
        check_shares(parts_of(1000, real), real)
    advice = re.search(r"data\.real\.block_seconds=(\d+) would give", str(error.value))
    assert advice is not None
    better = dataclasses.replace(real, block_seconds=int(advice[1]))
    check_shares(parts_of(1000, better), better)


def test_an_empty_set_that_nothing_fills_is_an_error() -> None:
    real = RealConfig(block_seconds=16, validation_fraction=0.01)
    with pytest.raises(ValueError, match=r"falls to validation .* raise data\.real\.validation"):
        check_shares(parts_of(20, real), real)
    none = RealConfig(block_seconds=16, validation_fraction=0.01, test_fraction=0.0)
    everything = {Set.training: [{"H1": segment(0, 20)}], Set.validation: [], Set.test: []}
    with pytest.raises(ValueError, match="validation"):
        check_shares(everything, none)


def test_a_set_much_too_small_is_a_warning(caplog: pytest.LogCaptureFixture) -> None:
    parts = {
        Set.training: [{"H1": segment(0, 20)}],
        Set.validation: [{"H1": segment(1000, 500)}],
        Set.test: [],
    }
    with caplog.at_level(logging.WARNING):
        check_shares(parts, RealConfig(block_seconds=16, validation_fraction=0.25))
    assert "training has 20 of 520 s, less than half of the share wanted (75 %)" in caplog.text
