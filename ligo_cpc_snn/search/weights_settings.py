"""The settings in a detector's file, none of which is believed before it was looked at.

The file's SHA-256 is in the file: it tells damage, not who wrote it.
"""

import math
import os
import re
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from ligo_cpc_snn.config.model_schema import EncoderConfig, EncoderKind
from ligo_cpc_snn.config.own_encoder import NAME
from ligo_cpc_snn.reading.errors import one_line
from ligo_cpc_snn.reading.text import parse_json
from ligo_cpc_snn.search.detector_files import WeightsError

DETECTOR = re.compile(r"[A-Z][0-9]")
MOST_DETECTORS = 16
HIGHEST_RATE_HZ = 1 << 20
LONGEST_SECONDS = 4096.0
# Of any number in the model's settings: widths, strides, dilations, seconds.
LARGEST = 65_536
ALLOWED = "LIGO_OWN_ENCODER"  # variable of the environment: module:Class of an encoder
REMEDY = "get the file again from where it was trained"


def read_settings(path: Path, text: str) -> dict[str, Any]:
    """Return all fields of a detector but its parameters and kernels; `model` as plain values.

    Args:
        path: of the file, for errors.
        text: JSON.

    Raises:
        WeightsError: names the first field that is missing, unknown, or of another type.
    """
    try:
        settings = parse_json(text)
    except ValueError as error:
        raise WeightsError(f"{path}: its settings are no JSON ({error}): {REMEDY}") from error
    if not isinstance(settings, dict) or set(settings) != set(SOUND):
        odd = sorted({*SOUND} ^ {*settings}) if isinstance(settings, dict) else ["all"]
        raise WeightsError(
            f"{path}: settings that are missing or unknown: {one_line(', '.join(odd))}: {REMEDY}"
        )
    for name, sound in SOUND.items():
        if not sound(settings[name]):
            shown = one_line(repr(settings[name]))
            raise WeightsError(f"{path}: {name}={shown} is none of a detector: {REMEDY}")
    for name in ("detectors", "band_hz"):
        settings[name] = tuple(settings[name])
    return settings


def refuse_import(path: Path, encoder: EncoderConfig) -> None:
    """Refuse a file whose encoder's module would be imported, unless the user allowed it.

    Raises:
        WeightsError: the module is neither imported already nor named by `LIGO_OWN_ENCODER`.
    """
    own = encoder.own
    if encoder.kind != EncoderKind.own or not NAME.fullmatch(own):
        return  # nothing is imported for a name of another form
    if own.split(":")[0] not in sys.modules and os.environ.get(ALLOWED) != own:
        raise WeightsError(
            f"{path} names an encoder of its own, {own}, whose module would be imported: if you "
            f"trust it, set {ALLOWED}={own}"
        )


def _number(value: Any, low: float, high: float) -> bool:
    kind = isinstance(value, int | float) and not isinstance(value, bool)
    return kind and math.isfinite(value) and low <= value <= high


def _detectors(value: Any) -> bool:
    if not isinstance(value, list) or not 1 <= len(value) <= MOST_DETECTORS:
        return False
    return all(isinstance(name, str) and DETECTOR.fullmatch(name) for name in value)


def _band(value: Any) -> bool:
    pair = isinstance(value, list) and len(value) == 2
    return pair and all(_number(x, 0, HIGHEST_RATE_HZ) for x in value) and value[0] < value[1]


def _rate(value: Any) -> bool:
    return isinstance(value, int) and _number(value, 1, HIGHEST_RATE_HZ)


def _seconds(value: Any) -> bool:
    return _number(value, 0, LONGEST_SECONDS)


def _modest(value: Any) -> bool:
    """Return whether settings of a model have no number that no model has, and point nowhere."""
    if isinstance(value, dict):
        return all(_modest(part) for part in value.values())
    if isinstance(value, list):
        return len(value) <= 64 and all(_modest(part) for part in value)
    if isinstance(value, str):
        return "${" not in value  # OmegaConf would put a variable of the environment there
    return value is None or isinstance(value, bool) or _number(value, -LARGEST, LARGEST)


# Fields of `TrainedDetector`, which is not imported here: this is read before JAX is.
SOUND: dict[str, Callable[[Any], bool]] = {
    "name": lambda value: isinstance(value, str) and value.isprintable() and len(value) <= 200,
    "model": lambda value: isinstance(value, dict) and _modest(value),
    "detectors": _detectors,
    "sample_rate_hz": _rate,
    "band_hz": _band,
    "filter_seconds": _seconds,
    "psd_segment_seconds": _seconds,
    "time_offset_seconds": lambda value: _number(value, -LONGEST_SECONDS, LONGEST_SECONDS),
    "warm_up_seconds": _seconds,
    "card": lambda value: isinstance(value, dict),
}
