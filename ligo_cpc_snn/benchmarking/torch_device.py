"""Torch beside JAX: on the same kind of device, at its best, waited for."""

import time
from collections.abc import Callable
from functools import partial
from typing import Any

import jax
import numpy as np

from ligo_cpc_snn.runtime.machine import usable_cores


def why_no_torch_device() -> str | None:
    """Return why torch cannot run where JAX does, or None where it can."""
    import torch

    platform = jax.devices()[0].platform
    if platform == "cpu" or (platform == "gpu" and torch.cuda.is_available()):
        return None
    return f"torch {torch.__version__} has no device like JAX's ({platform})"


def torch_device() -> str:
    """Return torch's name of the device that JAX runs on."""
    return "cpu" if jax.devices()[0].platform == "cpu" else "cuda"


def tensor(array: Any, device: str, gradient: bool = False) -> Any:
    """Return a float32 tensor with the numbers of an array."""
    import torch

    return torch.tensor(
        np.asarray(array), dtype=torch.float32, device=device, requires_grad=gradient
    )


def prepared(function: Callable[[], Any], device: str) -> Callable[[], Any]:
    """Return the function at its best: on a CPU with the number of threads it is fastest with.

    Small products are faster on one thread, and on a busy machine all are; on a GPU the
    function waits for the device.
    """
    import torch

    if device != "cpu":

        def waited() -> Any:
            result = function()
            torch.cuda.synchronize()
            return result

        return waited

    def with_threads(threads: int) -> Any:
        torch.set_num_threads(threads)
        return function()

    seconds = {n: _seconds(partial(with_threads, n)) for n in {1, usable_cores()}}
    return partial(with_threads, min(seconds, key=seconds.__getitem__))


def _seconds(function: Callable[[], Any]) -> float:
    """Return the time of a call, the second of two."""
    function()
    begun = time.perf_counter()
    function()
    return time.perf_counter() - begun
