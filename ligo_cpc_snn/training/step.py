"""One update: draw a batch, take its gradient, move the parameters. Pure mathematics.

`step(state, data) -> state`: metrics are summed in the state on the device and leave it
once per logging interval.
"""

from collections.abc import Callable, Sequence
from dataclasses import KW_ONLY, dataclass
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Bool, Float, Int, Key

from ligo_cpc_snn.config.schema import InfoNceConfig, PhaseConfig, SnrRange, TrainingConfig
from ligo_cpc_snn.objectives.infonce import draw_first
from ligo_cpc_snn.rng import at_step
from ligo_cpc_snn.training.accumulation import Accumulated, accumulate
from ligo_cpc_snn.training.learner import (
    PARTS,
    Params,
    Randomness,
    Structure,
    Terms,
    all_finite,
    compute_terms,
)
from ligo_cpc_snn.training.optimiser import (
    build_optimiser,
    build_schedule,
    parameter_path,
    part_of,
)
from ligo_cpc_snn.types import Batch

Sampler = Callable[..., Batch]  # (data, key, snr_min, snr_max, step=), and `hard` if mined
Spread = Callable[[Any], Any]  # of a pytree with the examples in front


def on_one_device(examples: Any) -> Any:
    """Return examples that one device computes."""
    return examples


class MetricSums(NamedTuple):
    """Sums of the metrics of `count` steps."""

    sums: dict[str, Float[Array, ""]]
    count: Int[Array, ""]  # type: ignore[assignment]  # hides tuple.count; in checkpoints


class TrainState(NamedTuple):
    """All that a run carries from step to step.

    `step` is the number of updates applied in the run, `phase_step` in the phase.
    `bad_step` is -1, or the first step with a non-finite number, whose update and all
    later ones were not applied; `bad_part` indexes `PARTS`. `hard` is the noise that was
    mined last, None in a run that mines none; `average` the moving average of the parameters,
    None in a run that takes none.
    """

    params: Params
    opt_state: Any
    step: Int[Array, ""]
    phase_step: Int[Array, ""]
    metrics: MetricSums
    bad_step: Int[Array, ""]
    bad_part: Int[Array, ""]
    hard: Any = None
    average: Params | None = None

    @property
    def measured(self) -> Params:
        """The parameters to validate, evaluate and export."""
        return self.params if self.average is None else self.average


def snr_range(snr: SnrRange, fraction: Float[Array, ""]) -> tuple[Array, Array]:
    """Return the SNR range when `fraction` of the phase's steps are done: loud, then quiet."""
    span = max(snr.ramp_end - snr.ramp_begin, 1e-6)
    ramp = jnp.clip((fraction - snr.ramp_begin) / span, 0.0, 1.0)
    low = snr.start_min + ramp * (snr.end_min - snr.start_min)
    return low, snr.start_max + ramp * (snr.end_max - snr.start_max)


def draw_randomness(
    structure: Structure, key: Key[Array, ""], examples: int, samples: int, cfg: InfoNceConfig
) -> Randomness:
    """Draw the anchors' place and the bridge's keys for a whole batch."""
    of_frames, of_bridge = jax.random.split(key)
    first = draw_first(of_frames, samples // structure.frame_samples, cfg)
    return Randomness(first, jax.random.split(of_bridge, (examples, structure.sequences)))


def batch_gradient(
    structure: Structure,
    params: Params,
    batch: Batch,
    key: Key[Array, ""],
    *,
    phase: PhaseConfig,
    cfg: TrainingConfig,
    spread: Spread = on_one_device,
) -> Accumulated:
    """Return loss, gradient and metrics of a batch, accumulated as `cfg` says.

    Args:
        spread: shares the examples of a micro-batch among devices.
    """
    examples, _, samples = batch.strain.shape
    randomness = draw_randomness(structure, key, examples, samples, cfg.infonce)

    def compute(params: Params, batch: Batch, keys: Key[Array, "batch sequence"]) -> Terms:
        batch, keys = spread((batch, keys))
        part = randomness._replace(keys=keys)
        return compute_terms(structure.learner(params), batch, part, phase, cfg.target_rate)

    return accumulate(
        compute,
        params,
        (batch, randomness.keys),
        accumulation=cfg.accumulation,
        infonce_weight=phase.infonce_weight,
        cfg=cfg.infonce,
    )


@dataclass(frozen=True, eq=False)  # jit tells functions apart by identity
class PhaseFunctions:
    """The functions of one phase, not yet compiled.

    Args:
        sample: `(data, key, snr_min, snr_max, step=step) -> Batch`, pure; given `hard`, it has
            that argument, too.
        data: what `sample` draws from; only its shapes are used here.
        key: of the run's training stream; the step number is folded in.
        hard: shapes of mined noise, if noise is mined; it begins as zeros.
        spread: shares the examples of a micro-batch among devices.
    """

    structure: Structure
    sample: Sampler
    data: Any
    _: KW_ONLY
    phase: PhaseConfig
    cfg: TrainingConfig
    key: Key[Array, ""]
    hard: Any = None
    spread: Spread = on_one_device

    def _gradient(
        self, params: Params, data: Any, step: Array, phase_step: Array, hard: Any
    ) -> Accumulated:
        phase = self.phase
        of_batch, of_rest = jax.random.split(at_step(self.key, step))
        snr = snr_range(phase.snr, phase_step / max(phase.steps, 1))
        mined = {} if hard is None else {"hard": hard}
        batch = self.sample(data, of_batch, *snr, step=step, **mined)
        got = batch_gradient(
            self.structure, params, batch, of_rest, phase=phase, cfg=self.cfg, spread=self.spread
        )
        rate = {"learning_rate": jnp.asarray(build_schedule(self.cfg.optimiser, phase)(phase_step))}
        return got._replace(metrics=_all_metrics(got, batch) | rate)

    def step(self, state: TrainState, data: Any) -> TrainState:
        """Return the state after one update, or one marked where a number was not finite."""
        got = self._gradient(state.params, data, state.step, state.phase_step, state.hard)
        finite, optimiser = _finite_parts(got), build_optimiser(self.cfg.optimiser, self.phase)

        def move(state: TrainState) -> TrainState:
            updates, opt_state = optimiser.update(got.gradient, state.opt_state, state.params)
            moved = _updated(state, updates, self.cfg.average_decay)
            return moved._replace(opt_state=opt_state, metrics=_add(state.metrics, got.metrics))

        def stay(state: TrainState) -> TrainState:
            return _marked(state, finite)

        # A branch, not a choice of results: XLA then takes each gradient once.
        return jax.lax.cond(jnp.all(finite) & (state.bad_step < 0), move, stay, state)

    def begin(self, params: Params, step: Array, names: Sequence[str]) -> TrainState:
        """Return the state of a phase that begins at `step`, its metrics of these names at 0."""
        zero, none = jnp.zeros((), jnp.int32), jnp.full((), -1, jnp.int32)
        sums = MetricSums({name: jnp.zeros(()) for name in names}, zero)
        # Copies: the step is given its state's memory to overwrite, each part of it once.
        average = jax.tree.map(jnp.copy, params) if self.cfg.average_decay else None
        opt_state = build_optimiser(self.cfg.optimiser, self.phase).init(params)
        hard = _zeros_like(self.hard)
        return TrainState(params, opt_state, step, zero, sums, none, zero, hard, average)

    def metric_names(self, params: Params) -> tuple[str, ...]:
        """Return the names of the metrics that a step of the phase gives."""
        zero = jnp.zeros((), jnp.int32)
        found = jax.eval_shape(self._gradient, params, self.data, zero, zero, self.hard)
        return tuple(found.metrics)


def _updated(state: TrainState, updates: Params, decay: float) -> TrainState:
    """Return the state with parameters, their average and the counts one step on."""
    params, average = optax.apply_updates(state.params, updates), state.average
    if average is not None:
        average = average_on(average, params, state.step, decay)
    step, phase_step = state.step + 1, state.phase_step + 1
    return state._replace(params=params, average=average, step=step, phase_step=phase_step)


def _marked(state: TrainState, finite: Bool[Array, "part"]) -> TrainState:
    """Return the state with the first step and part that were not finite."""
    first = state.bad_step < 0
    part = jnp.argmin(finite).astype(jnp.int32)
    return state._replace(
        bad_step=jnp.where(first, state.step, state.bad_step),
        bad_part=jnp.where(first, part, state.bad_part),
    )


def average_on(average: Params, params: Params, step: Int[Array, ""], decay: float) -> Params:
    """Return the moving average after update number `step` (from 0) led to `params`.

    The decay grows to `decay` as (1 + n) / (10 + n), n updates being averaged already, so that
    the initial parameters are soon forgotten.

    Reference: Polyak & Juditsky 1992, SIAM J. Control Optim. 30, 838, with the weights of an
    exponential average; the growing decay is that of TensorFlow's `ExponentialMovingAverage`.
    """
    kept = jnp.minimum(decay, (1.0 + step) / (10.0 + step))
    averaged: Params = optax.incremental_update(params, average, 1.0 - kept)
    return averaged


def clear_metrics(state: TrainState) -> TrainState:
    """Return the state with its metric sums set to zero."""
    return state._replace(metrics=jax.tree.map(jnp.zeros_like, state.metrics))


def _zeros_like(shapes: Any) -> Any:
    return jax.tree.map(lambda x: jnp.zeros(x.shape, x.dtype), shapes)


def _all_metrics(got: Accumulated, batch: Batch) -> dict[str, Array]:
    squares: dict[str, Array] = {}
    for path, leaf in jax.tree_util.tree_leaves_with_path(got.gradient):
        part = part_of(parameter_path(path))
        squares[part] = squares.get(part, jnp.zeros(())) + jnp.sum(leaf**2)
    norms = {f"gradient_norm/{part}": jnp.sqrt(x) for part, x in squares.items()}
    norms["gradient_norm/total"] = jnp.sqrt(sum(squares.values(), start=jnp.zeros(())))
    snr = jnp.sum(batch.snr * batch.label) / jnp.maximum(jnp.sum(batch.label), 1.0)
    return got.metrics | norms | {"loss/total": got.loss, "data/snr": snr}


def _finite_parts(got: Accumulated) -> Bool[Array, "part"]:
    loss = PARTS.index("loss")
    forward = got.finite.at[loss].set(got.finite[loss] & jnp.isfinite(got.loss))
    return jnp.append(forward, all_finite(got.gradient))


def _add(total: MetricSums, metrics: dict[str, Array]) -> MetricSums:
    added = {name: total.sums[name] + x for name, x in metrics.items()}
    return MetricSums(total.sums | added, total.count + 1)
