"""The detector of a run folder without `detector.safetensors`: from its newest checkpoint."""

import hashlib
import json
from pathlib import Path
from typing import Any

import numpy as np
import orbax.checkpoint as ocp

from ligo_cpc_snn.config.save import load_saved
from ligo_cpc_snn.config.schema import Config
from ligo_cpc_snn.search.detector_files import WeightsError
from ligo_cpc_snn.search.parameters import parameter_shapes, place
from ligo_cpc_snn.search.trained import TrainedDetector

# Of the state's parts the first that a checkpoint has: averaged parameters, if they were.
PARTS = ("average.detector.", "params.detector.")


def trained_detector(
    cfg: Config, params: Any, *, time_offset_seconds: float, card: dict[str, Any]
) -> TrainedDetector:
    """Return the detector that a run's config and parameters make.

    Args:
        params: of `Detector`. Its warm-up is the model's, or the window it was trained on.
        time_offset_seconds: what a trigger's time lies after the merger at the geocentre.
        card: what is known about it.
    """
    data = cfg.data
    return TrainedDetector(
        name=cfg.name,
        model=cfg.model,
        params=params,
        detectors=tuple(data.detectors),
        sample_rate_hz=data.sample_rate_hz,
        band_hz=data.band_hz,
        filter_seconds=data.filter_seconds,
        psd_segment_seconds=data.psd_segment_seconds,
        time_offset_seconds=time_offset_seconds,
        warm_up_seconds=cfg.model.warm_up_seconds or data.window_seconds,
        card=card,
    )


def read_run(folder: Path) -> TrainedDetector:
    """Return the detector of a run's newest checkpoint; its time offset is not known: 0.

    Raises:
        WeightsError: there is no checkpoint, or it is damaged.
        ConfigError: the folder's config cannot be read.
    """
    steps = [int(p.name) for p in (folder / "checkpoints").glob("*") if p.name.isdigit()]
    if not steps:
        raise WeightsError(
            f"{folder} holds neither detector.safetensors nor a checkpoint: expected the folder "
            "of a run, train it first"
        )
    cfg, step = load_saved(folder), max(steps)
    checkpoint = folder / "checkpoints" / str(step)
    wanted = parameter_shapes(
        cfg.model, detectors=len(cfg.data.detectors), sample_rate_hz=cfg.data.sample_rate_hz
    )
    params = place(checkpoint, _arrays(checkpoint), wanted)
    card = {
        "run": {"name": cfg.name, "seed": cfg.seed, "steps": step},
        "limits": ["read from a checkpoint: the time offset was not measured and is 0"],
    }
    return trained_detector(cfg, params, time_offset_seconds=0.0, card=card)


def _arrays(checkpoint: Path) -> dict[str, np.ndarray]:
    """Return the detector's arrays of a checkpoint, each compared with its digest."""
    try:
        record = json.loads((checkpoint / "record" / "metadata").read_text(encoding="utf-8"))
        leaves = json.loads(record["record"])["leaves"]
        stored = ocp.StandardCheckpointer().restore((checkpoint / "state").absolute())
    except Exception as error:  # whatever a damaged file makes the readers raise
        reason = " ".join(f"{type(error).__name__}: {error}".split())[:240]
        raise WeightsError(
            f"{checkpoint} cannot be read ({reason}): delete it to use the one before, or train "
            "again"
        ) from error
    part = next(part for part in PARTS if any(name.startswith(part) for name in stored))
    chosen = {name: np.asarray(x) for name, x in stored.items() if name.startswith(part)}
    for name, array in chosen.items():
        if (
            hashlib.sha256(np.ascontiguousarray(array).tobytes()).hexdigest()
            != leaves[name]["sha256"]
        ):
            raise WeightsError(
                f"{checkpoint} is damaged, {name} does not match its SHA-256: delete it to use the "
                "one before, or train again"
            )
    return {name.removeprefix(part): array for name, array in chosen.items()}
