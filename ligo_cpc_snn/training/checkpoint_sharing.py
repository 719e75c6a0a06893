"""Writing one checkpoint by several processes: each writes its part of every array.

The state is whole in every process. Orbax would have process 0 write all of it; given arrays
that are laid out over the processes it has each write its own rows, and joins their files. What
is on disk does not tell by how many it was written: any number reads it.
"""

from collections.abc import Mapping
from typing import Any

import jax
import numpy as np
from jax.sharding import Mesh, NamedSharding, PartitionSpec

_AXIS = "process"


def laid_out(arrays: Mapping[str, np.ndarray]) -> dict[str, Any]:
    """Return arrays as Orbax shall write them; those of one process as they are.

    Args:
        arrays: host copies, the same in every process.
    """
    if jax.process_count() == 1:
        return dict(arrays)
    # One device of each process.
    first = {device.process_index: device for device in reversed(jax.devices())}
    mesh = Mesh(np.array([first[i] for i in sorted(first)]), (_AXIS,))
    return {name: _laid_out(array, mesh) for name, array in arrays.items()}


def _laid_out(array: np.ndarray, mesh: Mesh) -> jax.Array:
    axes = [i for i, length in enumerate(array.shape) if length % mesh.size == 0]
    spec = PartitionSpec(*([None] * axes[0]), _AXIS) if axes else PartitionSpec()
    sharding = NamedSharding(mesh, spec)
    with jax.transfer_guard("allow"):
        return jax.make_array_from_callback(array.shape, sharding, lambda index: array[index])
