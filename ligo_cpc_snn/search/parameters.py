"""A detector's parameters by name: the tree a model has, and named arrays put into it."""

from collections.abc import Mapping
from typing import Any

import jax
import numpy as np
from flax import nnx

from ligo_cpc_snn.config.model_schema import ModelConfig
from ligo_cpc_snn.models.detector import Detector
from ligo_cpc_snn.search.detector_files import WeightsError

REMEDY = "use the version of ligo_cpc_snn that wrote it, or get it again"


def named(params: Any) -> dict[str, Any]:
    """Return the leaves of a tree by dotted names, such as `snn.layers.0.product.kernel`."""
    leaves = jax.tree_util.tree_leaves_with_path(params)
    return {jax.tree_util.keystr(at, simple=True, separator="."): x for at, x in leaves}


def parameter_shapes(model: ModelConfig, *, detectors: int, sample_rate_hz: int) -> Any:
    """Return the tree of the parameters of a `Detector`, of shapes and types."""

    def build() -> Detector:
        rngs = nnx.Rngs(0)
        return Detector(model, detectors=detectors, sample_rate_hz=sample_rate_hz, rngs=rngs)

    return nnx.to_pure_dict(nnx.split(nnx.eval_shape(build))[1])


def place(source: Any, arrays: Mapping[str, np.ndarray], wanted: Any) -> Any:
    """Return named arrays as a tree of parameters, in the types it has.

    Args:
        source: where they were read, for errors.
        arrays: by dotted names.
        wanted: from `parameter_shapes`.

    Raises:
        WeightsError: names the first parameter that is missing, unknown or of another shape.
    """
    shapes = named(wanted)
    for name in sorted({*arrays, *shapes}):
        if name not in arrays or name not in shapes:
            what = "is missing" if name in shapes else "is none of its model's"
            raise WeightsError(f"{source}: parameter {name} {what}, {REMEDY}")
        if arrays[name].shape != shapes[name].shape:
            raise WeightsError(
                f"{source}: parameter {name} has shape {arrays[name].shape}, its model expects "
                f"{shapes[name].shape}, {REMEDY}"
            )
    leaves = [np.asarray(arrays[name], leaf.dtype) for name, leaf in shapes.items()]
    return jax.tree.unflatten(jax.tree.structure(wanted), leaves)
