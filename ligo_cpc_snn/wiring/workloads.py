"""What the time of a workload depends on, as plain values: the key of a stored choice.

No JAX here, so that the platform can be chosen by it before JAX is imported.
"""

import hashlib
import json
from pathlib import Path
from typing import Any

from omegaconf import OmegaConf
from omegaconf.errors import OmegaConfBaseException
from safetensors import SafetensorError, safe_open

from ligo_cpc_snn.config.model_schema import ModelConfig
from ligo_cpc_snn.config.runtime_schema import Tuning
from ligo_cpc_snn.config.save import plain
from ligo_cpc_snn.config.schema import Config, PhaseConfig
from ligo_cpc_snn.config.search_schema import SearchConfig
from ligo_cpc_snn.reading.errors import DAMAGED
from ligo_cpc_snn.reading.text import parse_json
from ligo_cpc_snn.runtime.preference import prefer
from ligo_cpc_snn.runtime.tuning_store import best_platform
from ligo_cpc_snn.search.detector_files import WeightsError, find_detector
from ligo_cpc_snn.search.weights_settings import read_settings

TRAINING, SEARCH, SLIDES, WINDOW = "training step", "search", "slides", "window"
DETECTING = (SEARCH, SLIDES, WINDOW)

Shapes = dict[str, Any]


def training_shapes(cfg: Config) -> Shapes:
    """Return what the time of a training step depends on."""
    phase = longest_phase(cfg)
    rest = [
        plain(cfg.model),
        plain(cfg.training.infonce),
        [bool(phase.infonce_weight), bool(phase.detection_weight), phase.train_encoder],
        cfg.training.average_decay > 0,
    ]
    return {
        "batch": cfg.training.batch_size,
        "detectors": len(cfg.data.detectors),
        "samples": cfg.data.window_samples,
        "sample_rate_hz": cfg.data.sample_rate_hz,
        **_told(cfg.model),
        "settings": _digest(rest),
    }


def longest_phase(cfg: Config) -> PhaseConfig:
    """Return the phase with the most steps, whose step is the one to be fast."""
    phases = (cfg.training.finetune, cfg.training.pretrain, cfg.training.probe)
    return max(phases, key=lambda phase: phase.steps)


def detecting_shapes(model: ModelConfig, detectors: int, sample_rate_hz: int) -> Shapes:
    """Return what the time of a trained detector's workloads depends on."""
    return {
        "detectors": detectors,
        "sample_rate_hz": sample_rate_hz,
        **_told(model),
        "settings": _digest(plain(model)),
    }


def shapes_of_file(path: Path) -> Shapes | None:
    """Return the shapes of a detector's file by its header alone; None where it has none.

    A run folder without such a file has none either: its detector is not known without JAX.
    """
    if not path.is_file():
        return None
    try:
        with safe_open(path, framework="numpy") as file:
            header = parse_json(file.metadata()["ligo_cpc_snn"])
        known = read_settings(path, header["detector"])
        model = OmegaConf.merge(OmegaConf.structured(ModelConfig), known["model"])
        rate = known["sample_rate_hz"]
        return detecting_shapes(OmegaConf.to_object(model), len(known["detectors"]), rate)  # type: ignore[arg-type]
    except (SafetensorError, OmegaConfBaseException, WeightsError, *DAMAGED):
        return None  # `load_detector` says what is wrong with the file


def prefer_learned(cfg: Config | SearchConfig) -> None:
    """Let `auto` try the platform first on which this config's work was measured fastest.

    It comes before the environment is prepared. Nothing is preferred where only one platform
    was measured, or tuning is off.
    """
    found = None
    if cfg.runtime.tuning is Tuning.auto and isinstance(cfg, Config):
        found = best_platform(TRAINING, training_shapes(cfg))
    elif cfg.runtime.tuning is Tuning.auto and isinstance(cfg, SearchConfig):
        shapes = shapes_of_file(find_detector(cfg.detector))
        name = SEARCH if cfg.follow is None else WINDOW
        found = None if shapes is None else best_platform(name, shapes)
    prefer(found)


def _told(model: ModelConfig) -> Shapes:
    """Return a few settings for the reader; all of them are in the digest."""
    return {
        "encoder": f"{model.encoder.kind.value} {model.encoder.features}",
        "context": f"{model.context.kind.value} {model.context.features}",
        "snn": "-".join(map(str, model.snn.widths)),
    }


def _digest(settings: Any) -> str:
    text = json.dumps(settings, sort_keys=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()[:12]
