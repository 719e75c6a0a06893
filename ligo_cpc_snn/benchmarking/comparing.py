"""Compare a result with an earlier one: by ratio to the reference of each run.

A noisy machine is slower in everything, the reference included: the ratio stays.
"""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from ligo_cpc_snn.errors import UserError

SLOWER_BY = 1.25  # and more is flagged


class Change(NamedTuple):
    """A stage's time over the reference's, before and now."""

    stage: str
    before: float
    now: float

    @property
    def factor(self) -> float:
        """How much slower it is now; below 1: faster."""
        return self.now / self.before

    @property
    def slower(self) -> bool:
        """Whether it is flagged."""
        return self.factor > SLOWER_BY


def read_result(file: Path) -> dict[str, Any]:
    """Read a result that `--json` printed or `--save` wrote.

    Raises:
        UserError: there is no such file, or it holds something else.
    """
    try:
        result = json.loads(file.read_text(encoding="utf-8"))
    except OSError as error:
        raise UserError(f"--compare {file}: {error.strerror}: give a result of --json") from error
    except ValueError as error:
        raise UserError(
            f"--compare {file} is not JSON ({error}): give a result of --json"
        ) from error
    if not _whole(result):
        raise UserError(f"--compare {file} is no result of ligo-benchmark --json")
    return result


def _whole(result: Any) -> bool:
    """Return whether a result has what a comparison looks at."""
    if not isinstance(result, dict) or not isinstance(result.get("scale"), str):
        return False
    stages, setting = result.get("stages"), result.get("setting")
    if not isinstance(stages, dict) or not isinstance(setting, dict):
        return False
    ratios = [row.get("ratio") if isinstance(row, dict) else None for row in stages.values()]
    return all(isinstance(ratio, float) and ratio > 0 for ratio in ratios)


def check_comparable(now: Mapping[str, Any], before: Mapping[str, Any]) -> None:
    """Refuse results of different work.

    Raises:
        UserError: with what differs.
    """
    differing = [
        f"{name}={before['setting'].get(name)} there, {value} here"
        for name, value in now["setting"].items()
        if name not in ("repeats", "kernels") and before["setting"].get(name) != value
    ]
    for name, of in (("scale", lambda r: r["scale"]), ("platform", lambda r: _platform(r))):
        if of(now) != of(before):
            differing.insert(0, f"{name}={of(before)} there, {of(now)} here")
    if differing:
        raise UserError(
            f"these results are of different work ({'; '.join(differing)}): compare with a "
            "result of the same --scale, overrides and platform"
        )


def _platform(result: Mapping[str, Any]) -> Any:
    return result.get("machine", {}).get("platform")


def changes(now: Mapping[str, Any], before: Mapping[str, Any]) -> list[Change]:
    """Return the change of each stage that both results have."""
    return list(_changes(now["stages"], before["stages"]))


def _changes(now: Mapping[str, Any], before: Mapping[str, Any]) -> Iterator[Change]:
    for name in now:
        if name in before:
            yield Change(name, before[name]["ratio"], now[name]["ratio"])


def in_one_only(now: Mapping[str, Any], before: Mapping[str, Any]) -> list[str]:
    """Return the stages that cannot be compared."""
    return sorted(set(now["stages"]) ^ set(before["stages"]))


def confirmed(first: list[Change], second: list[Change]) -> list[Change]:
    """Return the changes of two runs, of each stage the smaller: what was slower twice is slow."""
    again = {change.stage: change for change in second}
    return [
        min(change, again.get(change.stage, change), key=lambda c: c.factor) for change in first
    ]


def as_lines(found: list[Change], only: list[str]) -> list[str]:
    """Return the comparison as text."""
    lines = ["against the earlier result, by ratio to the reference of each run:"]
    for change in found:
        flag = f"  SLOWER by more than {100 * (SLOWER_BY - 1):.0f} %" if change.slower else ""
        numbers = f"{change.before:8.3f} -> {change.now:8.3f}"
        lines.append(f"  {change.stage:45} {numbers}  x {change.factor:.2f}{flag}")
    return [*lines, *(f"  {name:45} in one result only" for name in only)]
