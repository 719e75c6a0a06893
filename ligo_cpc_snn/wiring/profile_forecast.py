"""What a whole run would take, from the stages of a short one."""

from collections.abc import Mapping
from statistics import median
from typing import Any

from ligo_cpc_snn.config.schema import Config
from ligo_cpc_snn.training.phases import active_phases


def forecast(whole: Config, short: Config, record: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return the seconds of each part of the whole run, and of all.

    Steps and validation batches take the median of their program's calls; whatever else was
    done, such as banks, compilation and evaluation, takes what it took.

    Args:
        whole, short: the run asked for and the one profiled.
        record: as `profile.json`.
    """
    parts, validations = [], 0.0
    batches = -(-whole.training.evaluate_windows // whole.evaluation.batch_size)
    profiled = active_phases(short.training)
    for name, phase in active_phases(whole.training).items():
        steps = sum(median(x) * len(x) for x in _calls(record, f"{name}: ", "training step"))
        share = phase.steps / profiled[name].steps
        parts.append({"part": f"{name}: {phase.steps} steps", "seconds": steps * share})
        for seconds in _calls(record, f"{name}: ", "validation"):
            often = max(1, phase.steps // whole.training.evaluate_every)
            validations += often * batches * median(seconds)
    parts.append({"part": "validation", "seconds": validations})
    parts += [
        {"part": stage["path"][1], "seconds": stage["seconds"]}
        for stage in record["stages"]
        if len(stage["path"]) == 2 and stage["path"][1] != "training"
    ]
    return [*parts, {"part": "whole run", "seconds": sum(part["seconds"] for part in parts)}]


def _calls(record: Mapping[str, Any], begin: str, word: str) -> list[list[float]]:
    """Return the seconds of the calls of each program of such a name."""
    return [
        program["seconds"]
        for program in record["programs"]
        if program["name"].startswith(begin) and word in program["name"] and program["seconds"]
    ]
