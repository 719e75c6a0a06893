"""A loop whose step is a few sums, for tests of what is around the step."""

from types import SimpleNamespace
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from ligo_cpc_snn.config.model_schema import BridgeConfig
from ligo_cpc_snn.config.schema import CheckpointConfig, PhaseConfig, TrainingConfig
from ligo_cpc_snn.dataset.supply import FixedSupply
from ligo_cpc_snn.runtime.compilation import compile_measured
from ligo_cpc_snn.training.loop import Loop
from ligo_cpc_snn.training.micro_batches import TrainingSteps
from ligo_cpc_snn.training.phases import Phase
from ligo_cpc_snn.training.step import MetricSums, TrainState, clear_metrics

BATCH, STEPS = 8, 20
NO_MEMORY = "RESOURCE_EXHAUSTED: Out of memory while trying to allocate 7 bytes.\nmore of it"


def toy_step(accumulation: int) -> Any:
    """Move towards what the step's number draws: the mean over micro-batches."""

    def step(state: TrainState, banks: Any) -> TrainState:
        batch = banks[(state.step + jnp.arange(BATCH)) % banks.shape[0]]
        size = -(-BATCH // accumulation)
        parts = [batch[i : i + size].sum() for i in range(0, BATCH, size)]
        target = sum(parts) / BATCH
        params = {"w": 0.9 * state.params["w"] + 0.1 * target}
        loss = jnp.sum((state.params["w"] - target) ** 2)
        sums = {"loss/total": state.metrics.sums["loss/total"] + loss}
        return state._replace(
            params=params,
            step=state.step + 1,
            phase_step=state.phase_step + 1,
            metrics=MetricSums(sums, state.metrics.count + 1),
        )

    return step


def begin(params: Any, step: Any) -> TrainState:
    """Return a first state, in memory of its own."""
    zero = jnp.zeros((), jnp.int32)
    sums = MetricSums({"loss/total": jnp.zeros(())}, zero)
    first = TrainState(params, (), step, zero, sums, jnp.full((), -1, jnp.int32), zero)
    return jax.tree.map(jnp.copy, first)


class Services:
    """Saver, recorder, display and stop of a loop; keeps what it is told."""

    requested = False

    def __init__(self) -> None:
        self.saved: dict[int, np.ndarray] = {}
        self.records: list[dict[str, Any]] = []
        self.dispatched: list[int] = []

    def save(self, step: int, state: TrainState, metrics: Any, description: Any) -> bool:
        self.saved[step] = np.array(jax.device_get(state.params["w"]))
        return True

    def log(self, step: int, metrics: Any) -> None:
        clock = ("examples_per_second", "peak_memory_gb")
        self.records.append({"step": step, **{k: v for k, v in metrics.items() if k not in clock}})

    def update(self, step: int, phase: str, metrics: Any) -> None:
        if not metrics:
            self.dispatched.append(step)


def toy_loop(
    per_dispatch: int = 1, accumulation: int = 1, supply: Any = None, **settings: Any
) -> SimpleNamespace:
    """Return a loop of one phase with its services, its step and its first parameters."""
    # Arrays of their own for each loop: its step is given them to overwrite.
    params = {"w": jnp.asarray(np.linspace(-1, 1, 5), jnp.float32)}
    banks = jax.device_put(np.sin(np.arange(64, dtype=np.float32)))
    zero = jax.device_put(np.int32(0))
    state = jax.eval_shape(begin, params, zero)
    steps = TrainingSteps(
        "finetune",
        toy_step,
        (state, banks),
        batch_size=BATCH,
        accumulation=accumulation,
        per_dispatch=per_dispatch,
        room_bytes=None,
        compile_measured=compile_measured,
    )
    clear = compile_measured("clear", jax.jit(clear_metrics, donate_argnums=0), state)[0]
    copy = jax.jit(lambda s: jax.tree.map(jnp.copy, s)).lower(state).compile()

    def validate(params: Any, banks: Any, number: Any) -> dict[str, Any]:
        return {"loss/detection": params["w"]}

    phase = Phase(
        "finetune",
        PhaseConfig(steps=STEPS),
        0,
        STEPS,
        ("loss/total",),
        jax.jit(begin).lower(params, zero).compile(),
        steps,
        validate,
        clear,
        copy,
    )
    known = {"log_every": 4, "evaluate_every": 10, "evaluate_windows": 8} | settings
    every = known.pop("checkpoint_every", 10)
    cfg = TrainingConfig(batch_size=BATCH, checkpoint=CheckpointConfig(every_steps=every), **known)
    services = Services()
    loop = Loop(
        cfg,
        BridgeConfig(),
        [phase],
        FixedSupply(banks) if supply is None else supply(banks),
        banks,
        services,
        services,
        services,
        services,
        {},
        [zero],
        lambda: 0,
        lambda state, name: "nowhere",
        set(),
    )
    return SimpleNamespace(loop=loop, services=services, steps=steps, params=params)
