"""The number that an optimising sweep raises: how many signals a run finds. No JAX here."""

import json
from pathlib import Path
from typing import Any

from ligo_cpc_snn.config.errors import ConfigError


def objective_of(run_dir: Path) -> float:
    """Return the mean fraction of signals found over `evaluation.snrs`, in [0, 1].

    It is taken at the lowest of `evaluation.false_positive_rates` that was measured; where none
    was, it is the mean area under the curve.

    Raises:
        ConfigError: the run has left no metrics.json, or one without numbers of detection.
    """
    file = run_dir / "metrics.json"
    try:
        found: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))["detection"]
        curves = sorted(found["efficiency"], key=lambda x: x["threshold"]["nominal_rate"])
        rates = [float(rate["value"]) for rate in (curves[0]["rates"] if curves else found["auc"])]
        return sum(rates) / len(rates)
    except (OSError, ValueError, KeyError, TypeError, ZeroDivisionError) as error:
        raise ConfigError(
            f"{file} does not tell how well the run detects ({type(error).__name__}: {error}): "
            "see its run.log"
        ) from error
