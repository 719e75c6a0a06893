"""What a checkpoint says about itself: names, shapes, types and digests of its arrays.

Orbax and its array stores checksum only part of what they write, so that a flipped byte
can come back as a plausible weight. The digests here are taken from memory before
anything is written and compared with memory after everything is read.
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from enum import Enum
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import PyTree

from ligo_cpc_snn.errors import UserError

FORMAT = 1


class CheckpointError(UserError):
    """A checkpoint that cannot be written or restored; the message says what to do."""


class ArchitectureMismatchError(CheckpointError):
    """A sound checkpoint that belongs to another architecture."""


class CorruptedCheckpointError(CheckpointError):
    """A checkpoint whose files are missing or no longer hold what was written."""


@dataclass(frozen=True)
class Leaf:
    """One array of the state as it was saved; `key_impl` is set for random keys."""

    shape: tuple[int, ...]
    dtype: str
    sha256: str
    key_impl: str | None = None


@dataclass(frozen=True)
class Record:
    """Contents of one checkpoint besides its arrays."""

    step: int
    metrics: dict[str, float]
    description: dict[str, Any]
    leaves: dict[str, Leaf]


def named_leaves(state: PyTree) -> dict[str, Any]:
    """Return the leaves of `state` by dotted path, such as `params.encoder.kernel`."""
    pairs = jax.tree_util.tree_leaves_with_path(state)
    named = {jax.tree_util.keystr(path, simple=True, separator="."): x for path, x in pairs}
    if len(named) != len(pairs):
        raise CheckpointError(
            f"the training state has {len(pairs)} arrays but {len(named)} distinct dotted names: "
            "rename keys that contain a dot"
        )
    return named


def host_copies(state: PyTree) -> dict[str, np.ndarray]:
    """Return copies of all leaves in host memory; random keys become their key data.

    Copies, because on CPU a device array's host view is the device's own buffer, which the
    next training step may be given to overwrite.
    """
    return {name: _host_copy(leaf) for name, leaf in named_leaves(state).items()}


def _host_copy(leaf: Any) -> np.ndarray:
    data = jax.random.key_data(leaf) if _is_key(leaf) else leaf
    return np.array(jax.device_get(data), dtype=jnp.result_type(data), order="C", copy=True)


def _is_key(leaf: Any) -> bool:
    return isinstance(leaf, jax.Array) and jnp.issubdtype(leaf.dtype, jax.dtypes.prng_key)


def digest(array: np.ndarray) -> str:
    """Return the SHA-256 of an array's bytes."""
    return hashlib.sha256(np.ascontiguousarray(array).reshape(-1).view(np.uint8).data).hexdigest()


def make_record(
    step: int,
    state: PyTree,
    arrays: Mapping[str, np.ndarray],
    metrics: Mapping[str, float],
    description: Mapping[str, Any],
) -> Record:
    """Describe a state whose host copies are `arrays`."""
    leaves = {}
    for name, leaf in named_leaves(state).items():
        shape, dtype = shape_and_dtype(leaf)
        impl = str(jax.random.key_impl(leaf)) if _is_key(leaf) else None
        leaves[name] = Leaf(shape, dtype, digest(arrays[name]), impl)
    numbers = {name: float(value) for name, value in metrics.items()}
    return Record(step, numbers, plain(description), leaves)


def shape_and_dtype(leaf: Any) -> tuple[tuple[int, ...], str]:
    """Return shape and type name of an array, an abstract array or a Python number."""
    if hasattr(leaf, "shape") and hasattr(leaf, "dtype"):
        return tuple(leaf.shape), str(leaf.dtype)
    return tuple(np.shape(leaf)), str(jnp.result_type(leaf))


def plain(description: Mapping[str, Any]) -> dict[str, Any]:
    """Return `description` as JSON keeps it: enums by name, tuples as lists."""
    result: dict[str, Any] = json.loads(json.dumps(dict(description), default=_plain_leaf))
    return result


def _plain_leaf(value: object) -> str:
    if isinstance(value, Enum):
        return value.name
    raise CheckpointError(
        f"the checkpoint's description holds {value!r} of type {type(value).__name__}: expected "
        "numbers, strings, booleans, lists and dicts"
    )


def encode(record: Record) -> dict[str, Any]:
    """Return `record` as JSON data that carries its own digest."""
    text = json.dumps({"format": FORMAT, **asdict(record)}, sort_keys=True)
    return {"record": text, "sha256": hashlib.sha256(text.encode()).hexdigest()}


def decode(data: Mapping[str, Any]) -> Record:
    """Return the record that `encode` wrote.

    Raises:
        CorruptedCheckpointError: the data is not what was written.
        CheckpointError: the data was written in another format.
    """
    if not isinstance(data, Mapping) or not {"record", "sha256"} <= set(data):
        raise CorruptedCheckpointError("its description is not one that this program wrote")
    text = str(data["record"])
    if hashlib.sha256(text.encode()).hexdigest() != data["sha256"]:
        raise CorruptedCheckpointError("its description does not match its SHA-256")
    fields = json.loads(text)
    found = fields.pop("format")
    if found != FORMAT:
        raise CheckpointError(
            f"the checkpoint has format {found}, this version reads format {FORMAT}: use the "
            "version of ligo_cpc_snn that wrote it, or resume=never"
        )
    leaves = {
        name: Leaf(tuple(leaf["shape"]), leaf["dtype"], leaf["sha256"], leaf["key_impl"])
        for name, leaf in fields.pop("leaves").items()
    }
    return Record(**fields, leaves=leaves)
