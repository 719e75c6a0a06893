"""What can be optimised: settings to try, and candidates to compile, time and check."""

from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple, Protocol

import jax

from ligo_cpc_snn.wiring.optimize_rounds import Program

TRITON = ("gpu", "cuda", "rocm")  # JAX's platforms with GPU kernels of Pallas


class Axis(NamedTuple):
    """A setting to try: all of `values`, or, without them, doubled and halved up to `most`."""

    name: str
    values: tuple[Any, ...] = ()
    most: float = float("inf")

    def others(self, now: Any) -> list[Any]:
        """Return what may be tried beside `now`."""
        if self.values:
            return [value for value in self.values if value != now]
        half = now / 2 if isinstance(now, float) else now // 2
        return [value for value in (2 * now, half) if 1 <= value <= self.most]


class Built(NamedTuple):
    """A compiled candidate.

    Args:
        outputs: computes, after a number of units from the start, what agreement is judged by.
        needed_bytes: of the device, as the compiler says.
    """

    program: Program
    outputs: Callable[[int], Any]
    needed_bytes: int = 0


class Lowered(NamedTuple):
    """A candidate before its compilation: equal texts are equal programs."""

    text: str
    compile: Callable[[], Built]


class Workload(Protocol):
    """A workload of given shapes.

    Args:
        name, shapes: of its entry in the store.
        unit: of work, such as "step".
        settings: names of those that it decides.
    """

    @property
    def name(self) -> str: ...

    @property
    def unit(self) -> str: ...

    @property
    def shapes(self) -> dict[str, Any]: ...

    @property
    def settings(self) -> tuple[str, ...]: ...

    def axes(self, platform: str) -> list[Axis]:
        """Return the settings to try, in this order."""
        ...

    def lower(self, settings: Mapping[str, Any]) -> Lowered:
        """Trace a candidate."""
        ...

    def difference(self, settings: Mapping[str, Any], built: Built, plain: Built) -> float:
        """Return how far a candidate's outputs are from the plain ones."""
        ...


def kernel_axes(platform: str) -> Iterator[Axis]:
    """Yield the kernels to try on a platform; that of Triton needs a GPU, and a single one."""
    yield Axis("recurrence", ("scan", "associative"))
    if platform in TRITON and jax.device_count() == 1:  # XLA cannot split it over several
        yield Axis("lif", ("scan", "pallas"))
    yield Axis("unroll", most=32)
    yield Axis("precision", ("float32", "bfloat16"))


def needed_bytes(compiled: Any) -> int:
    """Return the device memory of a compiled program: arguments, results and what is between."""
    memory = compiled.memory_analysis()
    if memory is None:  # not every plug-in says
        return 0
    return int(
        memory.argument_size_in_bytes
        + memory.output_size_in_bytes
        - memory.alias_size_in_bytes
        + memory.temp_size_in_bytes
    )
