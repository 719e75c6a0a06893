"""Whether a checkpoint fits the model that wants to load it, and loading it exactly."""

from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import PyTree

from ligo_cpc_snn.training.checkpoint_record import (
    ArchitectureMismatchError,
    CorruptedCheckpointError,
    Leaf,
    Record,
    digest,
    named_leaves,
    plain,
    shape_and_dtype,
)

SHOWN = 3  # differences named in an error; the rest are counted


def check_architecture(
    record: Record, abstract_state: PyTree, description: Mapping[str, Any] | None
) -> None:
    """Check that a checkpoint belongs to the state and the description of this run.

    Args:
        record: what the checkpoint says about itself.
        abstract_state: arrays or `jax.ShapeDtypeStruct`s of the state wanted.
        description: architecture of this run; None compares the arrays only.

    Raises:
        ArchitectureMismatchError: names the first arrays and settings that differ.
    """
    lines = _array_differences(record.leaves, abstract_state)
    if description is not None:
        lines += _setting_differences(record.description, plain(description))
    if not lines:
        return
    more = f"; and {len(lines) - SHOWN} more" if len(lines) > SHOWN else ""
    raise ArchitectureMismatchError(
        f"the checkpoint of step {record.step} is of another architecture: "
        f"{'; '.join(lines[:SHOWN])}{more}. Use the config.yaml that this run began with, "
        "another run_dir, or resume=never"
    )


def _array_differences(stored: Mapping[str, Leaf], abstract_state: PyTree) -> list[str]:
    wanted = {name: shape_and_dtype(leaf) for name, leaf in named_leaves(abstract_state).items()}
    lines = []
    for name, (shape, dtype) in wanted.items():
        leaf = stored.get(name)
        if leaf is None:
            lines.append(f"{name} {dtype}{list(shape)} is not in the checkpoint")
        elif (leaf.shape, leaf.dtype) != (shape, dtype):
            lines.append(
                f"{name} is {leaf.dtype}{list(leaf.shape)} in the checkpoint, "
                f"{dtype}{list(shape)} in this run"
            )
    extra = [name for name in stored if name not in wanted]
    return lines + [f"{name} is only in the checkpoint" for name in extra]


def _setting_differences(stored: Mapping[str, Any], wanted: Mapping[str, Any]) -> list[str]:
    old, new = _flat(stored), _flat(wanted)
    return [
        f"{key} is {old.get(key, 'absent')!r} in the checkpoint, "
        f"{new.get(key, 'absent')!r} in this run"
        for key in sorted({*old, *new})
        if key not in old or key not in new or old[key] != new[key]
    ]


def _flat(tree: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for key, value in tree.items():
        if isinstance(value, Mapping):
            flat |= _flat(value, f"{prefix}{key}.")
        else:
            flat[f"{prefix}{key}"] = value
    return flat


def stored_arrays(arrays: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Return the arrays that are written: those of no elements hold nothing to write."""
    return {name: array for name, array in arrays.items() if array.size}


def empty_arrays(record: Record, abstract_state: PyTree) -> dict[str, np.ndarray]:
    """Return uninitialised host arrays of the stored shapes, to be read into."""
    leaves = named_leaves(abstract_state)
    return {name: _empty(record.leaves[name], leaves[name]) for name in leaves}


def _empty(stored: Leaf, leaf: Any) -> np.ndarray:
    if stored.key_impl is None:
        return np.empty(stored.shape, jnp.dtype(stored.dtype))
    data = jax.eval_shape(jax.random.key_data, jax.ShapeDtypeStruct(leaf.shape, leaf.dtype))
    return np.empty(data.shape, data.dtype)


def check_arrays(record: Record, arrays: Mapping[str, np.ndarray]) -> None:
    """Check that the arrays are, byte for byte, those that were saved.

    Raises:
        CorruptedCheckpointError: names the first array that is missing or differs.
    """
    for name, leaf in record.leaves.items():
        if name not in arrays:
            raise CorruptedCheckpointError(f"array {name} is missing")
        if digest(arrays[name]) != leaf.sha256:
            raise CorruptedCheckpointError(f"array {name} does not match its SHA-256")


def place(record: Record, arrays: Mapping[str, np.ndarray], abstract_state: PyTree) -> PyTree:
    """Return the state on the devices, laid out and typed like `abstract_state`."""
    leaves = [
        _place(record.leaves[name], arrays[name], leaf)
        for name, leaf in named_leaves(abstract_state).items()
    ]
    return jax.tree_util.tree_unflatten(jax.tree_util.tree_structure(abstract_state), leaves)


def _place(stored: Leaf, array: np.ndarray, leaf: Any) -> jax.Array:
    # An array that was not bound to a device must not become bound to one: compiled
    # functions tell the two apart and would be compiled again.
    sharding = getattr(leaf, "sharding", None) if getattr(leaf, "committed", True) else None
    # may_alias=False: the step donates its state, and must not be handed numpy's memory.
    if stored.key_impl is None:
        return jax.device_put(array, sharding, may_alias=False)
    keys = jax.random.wrap_key_data(jax.device_put(array, may_alias=False), impl=stored.key_impl)
    return keys if sharding is None else jax.device_put(keys, sharding)
