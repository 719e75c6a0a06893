"""One run on all devices, of this process and of those started with it.

Parameters, optimiser and banks are whole on every device; of each batch every device computes
its share of the examples, and the mean of their gradients is the gradient of the batch. Which
examples a step draws is a function of its number alone (`jax_threefry_partitionable`), so the
number of devices changes nothing but the order of sums.
"""

import logging
import platform
import zlib
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import jax
import numpy as np
from jax.experimental import multihost_utils
from jax.sharding import Mesh, NamedSharding, PartitionSpec

from ligo_cpc_snn.config.runtime_schema import Distributed, RuntimeConfig

log = logging.getLogger(__name__)

BATCH = "batch"  # the mesh's only axis


@dataclass(frozen=True, eq=False)
class Together:
    """The devices of a run; without a mesh there is one, and everything passes through.

    Args:
        mesh: of all devices of all processes, or None.
        index, count: number of this process, and of all.
    """

    mesh: Mesh | None = None
    index: int = 0
    count: int = 1
    _told: set[int] = field(default_factory=set)

    @property
    def first(self) -> bool:
        """Whether this process writes what a run writes."""
        return self.index == 0

    @property
    def several(self) -> bool:
        """Whether there are other processes."""
        return self.count > 1

    @property
    def devices(self) -> int:
        """Number of devices that share a batch."""
        return 1 if self.mesh is None else self.mesh.size

    def jit(self, function: Callable[..., Any], **options: Any) -> Any:
        """Return `jax.jit(function)`, whose arguments and results are whole on every device."""
        if self.mesh is None:
            return jax.jit(function, **options)
        whole = self._whole()
        return jax.jit(function, in_shardings=whole, out_shardings=whole, **options)

    def spread(self, tree: Any) -> Any:
        """Share the leading axis, of examples, among the devices; inside a compiled function.

        Examples that cannot be shared equally are computed on every device: right, not fast.
        """
        if self.mesh is None:
            return tree
        examples = jax.tree.leaves(tree)[0].shape[0]
        if examples % self.mesh.size:
            self._tell(examples)
            return tree
        sharding = NamedSharding(self.mesh, PartitionSpec(BATCH))
        return jax.tree.map(lambda x: jax.lax.with_sharding_constraint(x, sharding), tree)

    def replicate(self, tree: Any) -> Any:
        """Put arrays, the same in every process, whole on every device."""
        if self.mesh is None:
            return jax.device_put(tree)
        return jax.tree.map(self._put, tree)

    def own(self, tree: Any) -> Any:
        """Return what this process has of replicated arrays, on its first device; no copies."""
        return tree if self.mesh is None else jax.tree.map(lambda x: x.addressable_data(0), tree)

    def least(self, number: int) -> int:
        """Return the least of all processes' numbers, such as bytes of memory."""
        return min(self._numbers(number))

    def most(self, number: int) -> int:
        """Return the largest of all processes' numbers."""
        return max(self._numbers(number))

    def on_this_host(self) -> int:
        """Return how many processes, this one among them, run on this host."""
        own = zlib.crc32(platform.node().encode())
        return sum(host == own for host in self._numbers(own))

    def any(self, asked: bool) -> bool:
        """Return whether any process was asked."""
        return bool(self._of_all(np.array([asked], np.int32)).any())

    def wait(self, where: str) -> None:
        """Wait until all processes are here."""
        if self.several:
            with jax.transfer_guard("allow"):
                multihost_utils.sync_global_devices(where)

    def gather(self, rows: np.ndarray) -> np.ndarray:
        """Return the rows of all processes, one process after the other: as many of each."""
        return self._of_all(rows).reshape(-1, *rows.shape[1:])

    def _numbers(self, number: int) -> list[int]:
        # As two halves: JAX's integers have 32 bits.
        halves = self._of_all(np.array([number >> 31, number & 0x7FFFFFFF], np.int32))
        return [(int(high) << 31) | int(low) for high, low in halves]

    def _of_all(self, values: np.ndarray) -> np.ndarray:
        if not self.several:
            return values[None]
        with jax.transfer_guard("allow"):
            return np.asarray(multihost_utils.process_allgather(values))

    def _whole(self) -> NamedSharding:
        assert self.mesh is not None
        return NamedSharding(self.mesh, PartitionSpec())

    def _put(self, leaf: Any) -> jax.Array:
        if not self.several:
            return jax.device_put(leaf, self._whole())
        if isinstance(leaf, jax.Array) and leaf.sharding == self._whole():
            return leaf
        # Unlike device_put, this does not compare the values of all processes: gigabytes.
        array = np.asarray(leaf)
        return jax.make_array_from_process_local_data(self._whole(), array, array.shape)

    def _tell(self, examples: int) -> None:
        if examples not in self._told:
            self._told.add(examples)
            log.warning(
                "%d examples cannot be shared equally by %d devices: each computes all of them; "
                "choose training.batch_size (and evaluation.batch_size) that are multiples",
                examples,
                self.devices,
            )


ONE_DEVICE = Together()


def all_devices(runtime: RuntimeConfig) -> Together:
    """Return the devices that a run shall use, and say so where there are several.

    Those of one process are all used unless `runtime.distributed=off`, or somebody has chosen
    one as JAX's default device.
    """
    chosen = getattr(jax.config, "jax_default_device", None) is not None
    if runtime.distributed is Distributed.off or jax.device_count() == 1 or chosen:
        return ONE_DEVICE
    together = Together(
        Mesh(np.array(jax.devices()), (BATCH,)), jax.process_index(), jax.process_count()
    )
    log.info(
        "data parallel: %d devices of %d process%s, this is process %d",
        together.devices,
        together.count,
        "es" * together.several,
        together.index,
    )
    return together


class AgreedStop:
    """A request to stop that all processes hear at the same step.

    Signals come to processes at different steps: at each logging interval they ask each
    other. It also stands for the progress bar, whose `update` tells it the step.

    Args:
        stop: request to this process.
        display: shows progress.
        every: steps between questions.
    """

    def __init__(self, together: Together, stop: Any, display: Any, every: int) -> None:
        self._together, self._stop, self._display = together, stop, display
        self._every, self._asked, self.requested = every, 0, False

    def update(self, step: int, phase: str, metrics: Any) -> None:
        """Note that `step` steps are done."""
        self._display.update(step, phase, metrics)
        if step // self._every > self._asked // self._every:
            self.requested = self._together.any(self._stop.requested)
        self._asked = step
