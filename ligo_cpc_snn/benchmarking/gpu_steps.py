"""The training step by kernels and steps per dispatch, its agreement and its share of the peak."""

from collections.abc import Callable
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array

from ligo_cpc_snn.benchmarking.stages import small_banks
from ligo_cpc_snn.benchmarking.timing import time_together
from ligo_cpc_snn.config.runtime_schema import LifKernel, Precision, RecurrenceKernel
from ligo_cpc_snn.config.schema import Config
from ligo_cpc_snn.dataset.sampling import build_sampler
from ligo_cpc_snn.models.kernels import Kernels
from ligo_cpc_snn.rng import stream
from ligo_cpc_snn.training.learner import Structure, learner_of
from ligo_cpc_snn.training.step import PhaseFunctions

# Dense products without sparsity, TFLOP/s: NVIDIA H200 SXM data sheet (2024), whose figures with
# sparsity are twice these. JAX multiplies float32 in TF32 on such a GPU unless told otherwise.
DATA_SHEET = {"H200": {"float32": 494.7, "bfloat16": 989.4}}
PRODUCT = 8192  # side of the matrices of the measured peak; on a CPU a fraction of it
FASTER = {
    "plain": Kernels(),
    "associative recurrence": Kernels(recurrence=RecurrenceKernel.associative),
    "Pallas LIF, associative": Kernels(LifKernel.pallas, RecurrenceKernel.associative),
    "Pallas LIF, associative, bfloat16": Kernels(
        LifKernel.pallas, RecurrenceKernel.associative, precision=Precision.bfloat16
    ),
}
# Largest difference of a window's logit, relative to the spread of the logits. A spike that falls
# on the other side of its threshold moves a logit by far more than rounding does.
TOLERANCES = {Precision.float32: 1e-3, Precision.bfloat16: 0.3}


def measure_steps(cfg: Config, repeats: int, dispatches: tuple[int, ...]) -> dict[str, Any]:
    """Time the joint training step of each way to compute, in turns.

    Returns:
        `steps`, `agreement`, `left_out` (with reasons) and `peaks` (TFLOP/s).
    """
    banks = small_banks(cfg)
    peaks = measured_peaks() | _data_sheet()
    functions: dict[str, Callable[[], Any]] = {}
    rows: dict[str, dict[str, Any]] = {}
    logits: dict[str, np.ndarray] = {}
    left_out = []
    for name, kernels in FASTER.items():
        if reason := cannot(kernels):
            left_out.append({"kernels": name, "reason": reason})
            continue
        structure, params = learner_of(cfg, kernels)
        logits[name] = _logits(cfg, structure, params, banks)
        for count in dispatches:
            key = f"{name}/{count}"
            functions[key], flops = several_steps(cfg, structure, params, banks, count)
            rows[key] = {"kernels": name, "steps_per_dispatch": count, "flops": flops}
    timings = time_together(functions, repeats)
    for key, timing in timings.items():
        row, seconds = rows[key], timing.median / rows[key]["steps_per_dispatch"]
        precision = FASTER[row["kernels"]].precision.value
        row |= {
            "step_ms": 1e3 * seconds,
            "examples_per_second": cfg.training.batch_size / seconds,
            "tflops": row["flops"] / seconds / 1e12,
            "share_of_peak": row["flops"] / seconds / 1e12 / peaks[f"{precision}, measured"],
        }
    agreement = [
        {
            "kernels": name,
            "difference": _difference(logits["plain"], found),
            "tolerance": TOLERANCES[FASTER[name].precision],
        }
        for name, found in logits.items()
        if name != "plain"
    ]
    return {
        "steps": list(rows.values()), "agreement": agreement, "left_out": left_out, "peaks": peaks,
    }  # fmt: skip


def cannot(kernels: Kernels) -> str:
    """Return why kernels cannot run here; empty where they can."""
    if kernels.lif is LifKernel.pallas and jax.default_backend() != "gpu":
        return f"the Pallas kernel needs an NVIDIA GPU, JAX runs on {jax.default_backend()}"
    return ""


def several_steps(
    cfg: Config, structure: Structure, params: Any, banks: Any, count: int
) -> tuple[Callable[[], Any], float]:
    """Return a function that takes `count` training steps in one call, and a step's operations."""
    phase = cfg.training.finetune
    functions = PhaseFunctions(
        structure,
        build_sampler(cfg.data, cfg.training.batch_size),
        banks,
        phase=phase,
        cfg=cfg.training,
        key=stream(cfg.seed, "benchmark"),
    )
    names = functions.metric_names(params)
    begin = jax.jit(lambda p, s: functions.begin(p, s, names))
    # A copy: the step takes over its state's memory, and JAX may hand `params` through as they are.
    state = begin(jax.tree.map(jnp.copy, params), jnp.zeros((), jnp.int32))

    def steps(state: Any, banks: Any) -> Any:
        return jax.lax.scan(lambda s, _: (functions.step(s, banks), None), state, length=count)[0]

    # XLA counts the body of a loop once: the operations of several steps are those of one.
    lowered = jax.jit(functions.step if count == 1 else steps, donate_argnums=0).lower(state, banks)
    costs = lowered.cost_analysis() or {}
    compiled = lowered.compile()

    def call() -> Any:
        nonlocal state
        state = compiled(state, banks)
        return state.step

    return call, float(costs.get("flops", 0.0))


def measured_peaks() -> dict[str, float]:
    """Return the TFLOP/s of a large matrix product by precision, of the quicker calls."""
    side = PRODUCT if jax.default_backend() == "gpu" else 512
    square = jax.jit(lambda matrix: matrix @ matrix)
    functions: dict[str, Callable[[], Any]] = {
        f"{precision.value}, measured": partial(square, jnp.ones((side, side), precision.value))
        for precision in (Precision.float32, Precision.bfloat16)
    }
    timings = time_together(functions, 10)
    return {name: 2 * side**3 / timing.low / 1e12 for name, timing in timings.items()}


def _data_sheet() -> dict[str, float]:
    kind = jax.devices()[0].device_kind
    found = next((peaks for name, peaks in DATA_SHEET.items() if name in kind), {})
    return {f"{name}, data sheet": value for name, value in found.items()}


def _logits(cfg: Config, structure: Structure, params: Any, banks: Any) -> np.ndarray:
    """Return the logits of one batch."""
    sample = build_sampler(cfg.data, cfg.training.batch_size)

    def logits(params: Any, banks: Any) -> Array:
        batch = sample(banks, jax.random.key(0), jnp.asarray(10.0), jnp.asarray(20.0))
        detector = structure.learner(params).detector
        return detector.window_logits(detector(batch.strain)[0].frame_logits)

    return np.asarray(jax.jit(logits)(params, banks), np.float64)


def _difference(plain: np.ndarray, found: np.ndarray) -> float:
    """Return the largest difference, relative to the spread of the plain logits."""
    return float(np.max(np.abs(found - plain)) / max(float(np.std(plain)), 1e-9))
