"""Optax chain of one phase: clip, AdamW under a schedule, frozen parts left alone."""

from collections.abc import Callable
from typing import Any

import jax
import optax

from ligo_cpc_snn.config.schema import OptimiserConfig, PhaseConfig, Schedule
from ligo_cpc_snn.training.learner import Params


def trained_parts(phase: PhaseConfig) -> tuple[str, ...]:
    """Return the parts of the parameters that a phase changes."""
    parts: tuple[str, ...] = ("heads",) if phase.infonce_weight else ()
    if phase.train_encoder:
        parts += ("detector.encoder", "detector.context")
    if phase.detection_weight:
        parts += ("detector.bridge", "detector.snn")
    return parts


def build_schedule(cfg: OptimiserConfig, phase: PhaseConfig) -> Callable[[Any], Any]:
    """Return the learning rate as a function of the phase's own step count."""
    warmup = min(cfg.warmup_steps, max(phase.steps // 2, 1))
    if cfg.schedule is Schedule.constant:
        ramp = optax.linear_schedule(0.0, phase.learning_rate, warmup)
        return optax.join_schedules([ramp, optax.constant_schedule(phase.learning_rate)], [warmup])
    return optax.warmup_cosine_decay_schedule(
        0.0,
        phase.learning_rate,
        warmup,
        max(phase.steps, warmup + 1),
        phase.learning_rate * cfg.final_fraction,
    )


def build_optimiser(cfg: OptimiserConfig, phase: PhaseConfig) -> optax.GradientTransformation:
    """Return the transformation of a phase; its state has the same structure in every phase.

    Weight decay acts on matrices only: not on biases, norms, thresholds and decays.
    """
    parts = trained_parts(phase)
    return optax.chain(
        optax.clip_by_global_norm(cfg.clip_norm),
        optax.adamw(
            build_schedule(cfg, phase),
            b1=cfg.b1,
            b2=cfg.b2,
            weight_decay=cfg.weight_decay,
            mask=decay_mask,
        ),
        optax.masked(optax.set_to_zero(), lambda params: frozen_mask(params, parts)),
    )


def decay_mask(params: Params) -> Any:
    """Return True where weight decay applies: matrices, named `kernel`."""
    return _by_path(params, lambda path: path.endswith("kernel"))


def frozen_mask(params: Params, trained: tuple[str, ...]) -> Any:
    """Return True for the parameters outside the trained parts."""
    inside = tuple(f"{part}." for part in trained)
    return _by_path(params, lambda path: not path.startswith(inside))


def part_of(path: str) -> str:
    """Return the part a parameter belongs to: `encoder`, `context`, `bridge`, `snn`, `heads`."""
    names = path.split(".")
    return names[1] if names[0] == "detector" else names[0]


def parameter_path(path: tuple[Any, ...]) -> str:
    """Return a parameter's path as `detector.encoder.convs.0.product.kernel`."""
    return jax.tree_util.keystr(path, simple=True, separator=".")


def _by_path(params: Params, decide: Callable[[str], bool]) -> Any:
    return jax.tree_util.tree_map_with_path(lambda p, _: decide(parameter_path(p)), params)
