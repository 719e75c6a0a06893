"""The climb to the fastest settings, over a workload whose times are known."""

from collections.abc import Mapping
from functools import partial
from typing import Any

import numpy as np
import pytest

from ligo_cpc_snn.errors import UserError
from ligo_cpc_snn.wiring import optimize_climb
from ligo_cpc_snn.wiring.choices import heuristic
from ligo_cpc_snn.wiring.optimize_climb import Climb
from ligo_cpc_snn.wiring.optimize_rounds import Program, race
from ligo_cpc_snn.wiring.optimize_workload import Axis, Built, Lowered

BUDGET = 100


class Known:
    """Seconds by settings: fastest at unroll 8, associative, and bfloat16, which differs."""

    name, unit, shapes = "training step", "step", {"batch": 4}
    settings = ("lif", "recurrence", "unroll", "precision", "accumulation")

    def __init__(self) -> None:
        self.now = 0.0
        self.compiled: list[dict[str, Any]] = []

    def axes(self, platform: str) -> list[Axis]:
        return [
            Axis("recurrence", ("scan", "associative")),
            Axis("lif", ("scan", "pallas")),
            Axis("unroll", most=64),
            Axis("precision", ("float32", "bfloat16")),
            Axis("accumulation", most=4),
        ]

    def seconds(self, settings: Mapping[str, Any]) -> float:
        unroll = 1.0 + abs(np.log2(settings["unroll"] / 8))
        faster = 0.5 if settings["recurrence"] == "associative" else 1.0
        return unroll * faster * (0.1 if settings["precision"] == "bfloat16" else 1.0)

    def lower(self, settings: Mapping[str, Any]) -> Lowered:
        if settings["lif"] == "pallas":
            raise UserError("lif=pallas needs Triton, which is not installed")
        # Micro-batches of one example and of two are the same program here.
        text = str({**settings, "accumulation": min(settings["accumulation"], 2)})
        return Lowered(text, partial(self.compile, dict(settings)))

    def compile(self, settings: dict[str, Any]) -> Built:
        self.compiled.append(settings)

        def call() -> np.ndarray:
            self.now += self.seconds(settings)
            return np.zeros(1)

        needed = 1000 if settings["accumulation"] == 2 else 10
        return Built(Program(call, 1.0), lambda units: settings["precision"], needed)

    def difference(self, settings: Mapping[str, Any], built: Built, plain: Built) -> float:
        return 0.0 if built.outputs(1) == plain.outputs(1) else 0.5


@pytest.fixture
def known(monkeypatch):
    workload = Known()
    monkeypatch.setattr(optimize_climb, "race", partial(race, clock=lambda: workload.now))
    return workload


def climb(workload: Known, **fixed: Any) -> optimize_climb.Found:
    return Climb(workload, fixed, 5, BUDGET).run(heuristic("cpu"), "cpu")


def rows(found: optimize_climb.Found) -> dict[str, dict[str, Any]]:
    return {row["candidate"]: row for row in found.table}


def test_it_finds_the_fastest_that_agrees(known):
    found = climb(known)
    assert found.settings["recurrence"] == "associative"
    assert found.settings["unroll"] == 8
    assert found.settings["precision"] == "float32"
    assert found.speedup == pytest.approx(8.0)  # 4 s to 0.5 s
    assert found.seconds == pytest.approx(0.5)


def test_what_differs_cannot_win_though_it_is_the_fastest(known):
    assert "differs by 0.5" in rows(climb(known))["precision=bfloat16"]["verdict"]


def test_what_cannot_run_or_does_not_fit_is_told(known):
    found = rows(climb(known))
    assert found["lif=pallas"]["verdict"].startswith("not possible: lif=pallas needs Triton")
    assert "the budget is" in found["accumulation=2"]["verdict"]


def test_equal_programs_are_compiled_once(known):
    known.lower = lambda settings: Lowered("one", partial(Known.compile, known, dict(settings)))
    found = climb(known)
    assert len(known.compiled) == 1
    assert {row["verdict"] for row in found.table} == {"the same program"}
    assert found.settings == {name: heuristic("cpu")[name] for name in known.settings}
    assert found.speedup == 1.0


def test_what_the_config_decides_is_not_tried(known):
    found = climb(known, unroll=2, recurrence="scan")
    assert found.settings["unroll"] == 2
    assert not any(row["candidate"].startswith(("unroll", "recurrence")) for row in found.table)


def test_a_win_that_is_not_confirmed_leaves_the_heuristic(known, monkeypatch):
    """The best of many races was lucky: against the heuristic it is not faster."""
    races = []

    def lucky_once(reference, candidates, rounds):
        got = race(reference, candidates, rounds, clock=lambda: known.now)
        races.append(list(candidates))
        luck = len(races) == 1
        return {n: r._replace(won=luck and n in candidates) for n, r in got.items()}

    monkeypatch.setattr(optimize_climb, "race", lucky_once)
    found = climb(known)
    assert races[0] == races[-1] == ["recurrence=associative"]
    assert found.settings["recurrence"] == "scan"
    assert found.speedup == 1.0
    assert found.table[-1]["verdict"] == "not confirmed"


def test_numbers_are_doubled_and_halved_within_their_bounds():
    assert Axis("unroll", most=8).others(4) == [8, 2]
    assert Axis("unroll", most=8).others(8) == [4]
    assert Axis("unroll", most=8).others(1) == [2]
    assert Axis("chunk_seconds").others(8.0) == [16.0, 4.0]
    assert Axis("lif", ("scan", "pallas")).others("scan") == ["pallas"]
