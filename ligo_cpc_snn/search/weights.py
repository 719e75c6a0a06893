"""Trained detectors as files: `detector.safetensors` holds parameters, settings and a card.

A file is a safetensors file whose one entry of metadata, `ligo_cpc_snn`, is JSON: the format's
version, the SHA-256 of everything else, and all fields of `TrainedDetector` but its parameters
and kernels. Parameters stand under dotted names, such as `snn.layers.0.product.kernel`.
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import fields
from importlib import metadata
from pathlib import Path
from typing import Any, Literal

import jax
import numpy as np
from omegaconf import OmegaConf
from omegaconf.errors import OmegaConfBaseException
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save

from ligo_cpc_snn.config.model_schema import ModelConfig
from ligo_cpc_snn.errors import UserError
from ligo_cpc_snn.reading.errors import DAMAGED, one_line
from ligo_cpc_snn.reading.text import parse_json
from ligo_cpc_snn.search.detector_files import (
    FILE,
    SHIPPED,
    WeightsError,
    find_detector,
    names_in,
)
from ligo_cpc_snn.search.parameters import named, parameter_shapes, place
from ligo_cpc_snn.search.run_weights import read_run
from ligo_cpc_snn.search.trained import TrainedDetector
from ligo_cpc_snn.search.weights_settings import read_settings, refuse_import
from ligo_cpc_snn.strain.replacing import write_whole

FORMAT = 1
KEY = "ligo_cpc_snn"
__all__ = ["FILE", "SHIPPED", "load_detector", "read_detector", "save_detector"]


def shipped_detectors() -> list[str]:
    """Return the names of the detectors that come with the package."""
    return names_in(SHIPPED)


def load_detector(name_or_path: str | Path) -> TrainedDetector:
    """Return a trained detector.

    Args:
        name_or_path: name of a shipped one, a `.safetensors` file, or a run folder. The folder
            of a run that wrote no such file gives its newest checkpoint.

    Raises:
        WeightsError: there is none of that name, or its file is damaged or of another version.
    """
    path = find_detector(name_or_path, SHIPPED)
    if path.is_dir():
        return read_run(path)
    # What was named by its folder is the user's own run; a file may come from anybody.
    return read_detector(path, own_run=path != Path(name_or_path).expanduser())


def save_detector(
    path: str | Path, detector: TrainedDetector, dtype: Literal["float32", "float16"] = "float32"
) -> Path:
    """Write a detector to a file, whole or not at all.

    Args:
        path: of the file, by custom ending in `.safetensors`.
        dtype: in which parameters are stored; float16 halves the file and rounds them.

    Raises:
        WeightsError: a parameter is not finite in that type.
    """
    arrays = {name: _stored(name, x, dtype) for name, x in named(detector.params).items()}
    text = json.dumps(_settings(detector), sort_keys=True, allow_nan=False)
    header = {"format": FORMAT, "sha256": _digest(text, arrays), "detector": text}
    path = Path(path)
    write_whole(path, save(arrays, {KEY: json.dumps(header)}))
    return path


def read_detector(path: str | Path, *, own_run: bool = False) -> TrainedDetector:
    """Return the detector of a file that `save_detector` wrote, its parameters in float32.

    Args:
        path: of the file.
        own_run: the user's own, for which an encoder of the user's own is imported unasked.

    Raises:
        WeightsError: the file is damaged, of another format, or of a model not known here, or it
            names an encoder to be imported that nobody allowed.
    """
    path = Path(path)
    header, arrays = _read(path)
    settings = read_settings(path, header["detector"])
    model = _model(path, settings.pop("model"), settings["card"])
    if not own_run:
        refuse_import(path, model.encoder)
    rate, number = settings["sample_rate_hz"], len(settings["detectors"])
    try:
        wanted = parameter_shapes(model, detectors=number, sample_rate_hz=rate)
    except UserError:  # of an encoder of the user's own, and says what to do
        raise
    except Exception as error:  # whatever Flax makes of sizes that fit no network
        raise WeightsError(
            f"{path} holds the settings of no network ({one_line(repr(error))}): get it again"
        ) from error
    return TrainedDetector(**settings, model=model, params=place(path, arrays, wanted))


def _stored(name: str, leaf: Any, dtype: str) -> np.ndarray:
    array = np.asarray(jax.device_get(leaf))
    if not np.issubdtype(array.dtype, np.floating):
        return np.array(array, order="C")
    with np.errstate(over="ignore"):
        stored = np.array(array, dtype, order="C")
    if not np.isfinite(stored).all():
        raise WeightsError(
            f"parameter {name} is not finite in {dtype}, its largest value is "
            f"{np.abs(array).max():g}: expected finite numbers, use dtype=float32 or train again"
        )
    return stored


def _settings(detector: TrainedDetector) -> dict[str, Any]:
    apart = ("model", "params", "kernels")
    names = [field.name for field in fields(detector) if field.name not in apart]
    model = OmegaConf.to_container(OmegaConf.structured(detector.model), enum_to_str=True)
    return {name: getattr(detector, name) for name in names} | {"model": model}


def _digest(text: str, arrays: Mapping[str, np.ndarray]) -> str:
    """Return the SHA-256 of the settings' text and of each parameter's name, type and bytes."""
    sha = hashlib.sha256(text.encode())
    for name in sorted(arrays):
        array = arrays[name]
        sha.update(f"{name} {array.dtype.str} {array.shape}".encode())
        sha.update(array.tobytes())
    return sha.hexdigest()


def _read(path: Path) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    """Return header and arrays of a file whose digest is right."""
    try:
        with safe_open(path, framework="numpy") as file:
            text = (file.metadata() or {}).get(KEY)
            arrays = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    except (SafetensorError, *DAMAGED) as error:  # the library has the sizes compared
        raise WeightsError(
            f"{path} cannot be read ({one_line(str(error))}): expected a whole .safetensors file, "
            "get it again"
        ) from error
    if text is None:
        raise WeightsError(f"{path} holds no detector of {KEY}: give one that save_detector wrote")
    try:
        header = parse_json(text)
        version, sha256, known = header["format"], header["sha256"], header["detector"]
        if not isinstance(known, str):
            raise TypeError("expected text")
    except (ValueError, KeyError, TypeError) as error:
        raise WeightsError(
            f"{path} is damaged, its header cannot be read: get the file again"
        ) from error
    if version != FORMAT:
        raise WeightsError(
            f"{path} has format {version!r:.40}, this version reads format {FORMAT}: install the "
            "version of ligo_cpc_snn that wrote it, or a newer one"
        )
    if _digest(known, arrays) != sha256:
        raise WeightsError(f"{path} is damaged, its SHA-256 does not match: get the file again")
    return header, arrays


def _model(path: Path, tree: dict[str, Any], card: Mapping[str, Any]) -> ModelConfig:
    """Return the model's settings; those newer than the file have their defaults."""
    try:
        model = OmegaConf.to_object(OmegaConf.merge(OmegaConf.structured(ModelConfig), tree))
    except (OmegaConfBaseException, ValueError, TypeError, AttributeError) as error:
        key = getattr(error, "full_key", None)
        reason = one_line(f"model.{key}" if key else str(error).splitlines()[0])
        versions = card.get("versions")
        known = versions.get("ligo-cpc-snn") if isinstance(versions, dict) else None
        writer = one_line(str(known or "not recorded"))
        raise WeightsError(
            f"{path} has a setting that ligo_cpc_snn {metadata.version('ligo-cpc-snn')} does not "
            f"know: {reason}. Install the version that wrote it ({writer}) or a newer one"
        ) from error
    assert isinstance(model, ModelConfig)
    return model
