"""Find the fastest settings of a workload on one device: one setting after another.

From the heuristic each setting in turn is raced against its alternatives, and the best goes on.
Numbers are doubled or halved as long as that wins. At the end the settings found are raced
against the heuristic in rounds of their own: the best of many is partly luck.
"""

import logging
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from jax.errors import JaxRuntimeError

from ligo_cpc_snn.errors import UserError
from ligo_cpc_snn.wiring.choices import Settings, plain_settings
from ligo_cpc_snn.wiring.optimize_agreement import tolerance
from ligo_cpc_snn.wiring.optimize_rounds import REFERENCE, TWIN, Result, race
from ligo_cpc_snn.wiring.optimize_workload import Axis, Built, Workload

log = logging.getLogger(__name__)

# What a candidate that cannot run here ends in: it has lost, with the reason in the table.
IMPOSSIBLE = (UserError, ValueError, NotImplementedError, JaxRuntimeError, MemoryError)
# How much is computed at a time, not how: agreement is not about these.
SIZES = ("accumulation", "streams", "chunk_seconds", "slides_at_a_time")
RACED = "raced"


class Lost(Exception):  # noqa: N818 (no fault of the program)
    """A candidate may not win; the text says why."""


class Found(NamedTuple):
    """The settings that won, their time (s per unit), and the rows behind them."""

    settings: Settings
    seconds: float
    speedup: float
    table: list[dict[str, Any]]


@dataclass
class Climb:
    """The search for the fastest settings of a workload.

    Args:
        fixed: settings that the config has decided.
        rounds: of each race.
        budget_bytes: of the device, which no candidate may exceed.
    """

    workload: Workload
    fixed: Mapping[str, Any]
    rounds: int
    budget_bytes: int
    table: list[dict[str, Any]] = field(default_factory=list)
    _seen: set[str] = field(default_factory=set)

    def run(self, start: Mapping[str, Any], platform: str) -> Found:
        """Climb from the heuristic's settings.

        Raises:
            UserError, ValueError, JaxRuntimeError: these settings themselves cannot run.
        """
        first = now = {n: {**start, **self.fixed}[n] for n in self.workload.settings}
        lowered = self.workload.lower(first)
        self._seen.add(lowered.text)
        begun = built = lowered.compile()
        plain = self._plain(first, begun)
        for axis in self.workload.axes(platform):
            if axis.name not in self.fixed:
                now, built = self._along(axis, now, built, plain)
        return self._confirmed(first, begun, now, built)

    def _plain(self, first: Settings, begun: Built) -> Built:
        """Return what every candidate is compared with, at the sizes of the first."""
        sizes = {name: first[name] for name in SIZES if name in first}
        plain = {name: (plain_settings() | sizes)[name] for name in first}
        return begun if plain == first else self.workload.lower(plain).compile()

    def _along(
        self, axis: Axis, now: Settings, built: Built, plain: Built
    ) -> tuple[Settings, Built]:
        """Move along one setting while a step wins."""
        tried = {now[axis.name]}
        while values := [v for v in axis.others(now[axis.name]) if v not in tried]:
            tried.update(values)
            ready = {v: self._entrant({**now, axis.name: v}, axis, plain) for v in values}
            entrants = {_label(axis, v): (v, b) for v, b in ready.items() if b is not None}
            if not entrants:
                break
            programs = {label: b.program for label, (_, b) in entrants.items()}
            try:
                results = race(built.program, programs, self.rounds)
            except IMPOSSIBLE as error:  # one fitted alone, and not beside the others
                self._lost(list(entrants), error)
                break
            won = self._judge(_label(axis, now[axis.name]), results)
            if won is None:
                break
            value, built = entrants[won]
            now = {**now, axis.name: value}
            if axis.values:
                break
        return now, built

    def _lost(self, labels: list[str], error: Exception) -> None:
        """Write into the table that a race of these could not be run."""
        verdict = "not possible side by side: " + " ".join(str(error).split())[:160]
        log.info("%s, %s: %s", self.workload.name, ", ".join(labels), verdict)
        for row in self.table:
            if row["candidate"] in labels and row["verdict"] == RACED:
                row["verdict"] = verdict

    def _entrant(self, settings: Settings, axis: Axis, plain: Built) -> Built | None:
        """Compile a candidate and check it; None, with a row in the table, if it cannot win."""
        label = _label(axis, settings[axis.name])
        try:
            lowered = self.workload.lower(settings)
            if lowered.text in self._seen:
                raise Lost("the same program")
            self._seen.add(lowered.text)
            built = lowered.compile()
            if built.needed_bytes > self.budget_bytes:
                needed, budget = built.needed_bytes / 1e9, self.budget_bytes / 1e9
                raise Lost(f"needs {needed:.3g} GB, the budget is {budget:.3g} GB")
            apart = self.workload.difference(settings, built, plain)
            if not apart <= tolerance(settings):
                raise Lost(f"differs by {apart:.2g}, allowed {tolerance(settings):g}")
        except (Lost, *IMPOSSIBLE) as error:
            told = "" if isinstance(error, Lost) else "not possible: "
            verdict = told + " ".join(str(error).split())[:160]
            log.info("%s, %s: %s", self.workload.name, label, verdict)
            self.table.append({"candidate": label, "verdict": verdict})
            return None
        self.table.append({"candidate": label, "difference": apart, "verdict": RACED})
        return built

    def _judge(self, against: str, results: Mapping[str, Result]) -> str | None:
        """Write a race into the table and return the fastest of those who won."""
        winners = [name for name, result in results.items() if result.won]
        best = min(winners, key=lambda name: results[name].ratio, default=None)
        entered = {row["candidate"]: row for row in self.table if row["verdict"] == RACED}
        for name, result in results.items():
            if name == REFERENCE:
                continue
            row = _numbers(result, against)
            if name == TWIN:
                self.table.append({"candidate": f"{against} again", **row, "verdict": "noise"})
                continue
            verdict = "fastest" if name == best else "faster" if result.won else "not faster"
            entered[name] |= row | {"verdict": verdict}
            log.info("%s, %s: %.3f of %s", self.workload.name, name, result.ratio, against)
        return best

    def _confirmed(self, first: Settings, begun: Built, now: Settings, built: Built) -> Found:
        """Race the settings found against those of the heuristic."""
        changed = ", ".join(f"{n}={now[n]}" for n in now if now[n] != first[n])
        against = "the heuristic"
        candidates = {changed: built.program} if changed else {}
        results = race(begun.program, candidates, self.rounds)
        if changed:
            noise = _numbers(results[TWIN], against)
            self.table.append({"candidate": f"{against} again", **noise, "verdict": "noise"})
        result = results.get(changed)
        if result is not None:
            verdict = "chosen" if result.won else "not confirmed"
            row = {"candidate": changed, **_numbers(result, against), "verdict": verdict}
            self.table.append(row)
            log.info("%s, %s: %.3f of %s", self.workload.name, changed, result.ratio, against)
        if result is None or not result.won:
            return Found(first, results[REFERENCE].seconds, 1.0, self.table)
        return Found(now, result.seconds, 1 / result.ratio, self.table)


def _label(axis: Axis, value: Any) -> str:
    return f"{axis.name}={value}"


def _numbers(result: Result, against: str) -> dict[str, Any]:
    """Return a race's numbers as a row of the table has them."""
    kept = ("seconds", "ratio", "low", "high", "rounds")
    return {name: getattr(result, name) for name in kept} | {"against": against}
