"""The ways of computing that are held against the references, and where."""

from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from typing import Any

import jax
import pytest
from golden import stages_losses, stages_network
from golden.stages_files import TOLERANCES, Case, distance

from ligo_cpc_snn.config.runtime_schema import LifKernel, Precision, RecurrenceKernel
from ligo_cpc_snn.models.kernels import Kernels
from ligo_cpc_snn.models.lif_pallas import interpreted

# Every device of this machine is tried: JAX_PLATFORMS=cuda,cpu pytest tests/test_golden_*.py
DEVICES = [
    "cpu",
    pytest.param("gpu", marks=pytest.mark.gpu),
    pytest.param("METAL", marks=pytest.mark.metal),
    pytest.param("mps", marks=pytest.mark.metal),
]
ASSOCIATIVE, PALLAS = RecurrenceKernel.associative, LifKernel.pallas
KERNELS = {
    "plain": None,  # what is used where nothing is chosen
    "unroll": Kernels(unroll=4),
    "associative": Kernels(recurrence=ASSOCIATIVE),
    "pallas": Kernels(lif=PALLAS),
    "all": Kernels(PALLAS, ASSOCIATIVE, 3),
    "bfloat16": Kernels(precision=Precision.bfloat16),
}


@contextmanager
def on(name: str) -> Iterator[None]:
    """Compute on a kind of device; skip where there is none.

    Products of float32 are taken in float32, which an NVIDIA GPU does when told to only: its
    default, TF32, has the digits of neither precision.
    """
    try:
        device = jax.local_devices(backend=name)[0]
    except RuntimeError as error:
        pytest.skip(f"no {name} device here: {str(error).splitlines()[0]}")
    # A program traced for another device may hold another kernel.
    stages_network.compiled.cache_clear()
    stages_losses.compiled.cache_clear()
    kernel = interpreted() if name == "cpu" else nullcontext()
    with jax.default_device(device), jax.default_matmul_precision("highest"), kernel:
        yield


def check(stage: str, case: Case, got: Any, way: str = "plain") -> None:
    """Assert that a result is the reference's, to the stage's tolerance for that way.

    Of bfloat16 each output, and the gradient, is measured by its largest leaf: small leaves are
    differences of large numbers.
    """
    tolerance, expected = TOLERANCES[stage], case.outputs
    if way != "bfloat16":
        off = distance(got, expected)
        assert off <= tolerance.float32, f"{stage} moved by {off:.2g}, {way}"
        return
    assert tolerance.bfloat16 is not None
    off = max(distance(got[name], expected[name], 1.0) for name in expected)
    # Nearer than float32's tolerance, nothing was in bfloat16.
    assert tolerance.float32 < off <= tolerance.bfloat16, f"{stage} moved by {off:.2g}, {way}"


def outputs_of(case: Case, *names: str) -> Case:
    """Return the case with some of its outputs."""
    return case._replace(outputs={name: case.outputs[name] for name in names})
