"""Validation during training: losses and ranking on windows that are the same each time."""

from collections.abc import Callable
from typing import Any

import jax
import numpy as np
from jaxtyping import Array, Float, Key

from ligo_cpc_snn.config.schema import PhaseConfig, TrainingConfig
from ligo_cpc_snn.objectives.infonce import infonce
from ligo_cpc_snn.rng import at_step
from ligo_cpc_snn.training.accumulation import scan_micro_batches
from ligo_cpc_snn.training.learner import Params, Structure, Terms, compute_terms
from ligo_cpc_snn.training.step import Sampler, draw_randomness
from ligo_cpc_snn.types import Batch

Validate = Callable[[Params, Any, Array], dict[str, Array]]


def build_validation(
    structure: Structure,
    sample: Sampler,
    phase: PhaseConfig,
    cfg: TrainingConfig,
    key: Key[Array, ""],
    parts: int = 1,
) -> Validate:
    """Return `(params, banks, batch number) -> metrics per example` of one validation batch.

    Signals have the SNRs of the phase's end. Phases with detection give `logit` and `label` too.
    The batch goes through the network in `parts`, which changes the memory it takes alone.
    """

    def validate(params: Params, banks: Any, number: Array) -> dict[str, Array]:
        of_batch, of_rest = jax.random.split(at_step(key, number))
        batch = sample(banks, of_batch, phase.snr.end_min, phase.snr.end_max)
        examples, _, samples = batch.strain.shape
        randomness = draw_randomness(structure, of_rest, examples, samples, cfg.infonce)

        def of_part(carry: None, part: tuple[Batch, Array]) -> tuple[None, Terms]:
            drawn = randomness._replace(keys=part[1])
            learner = structure.learner(params)
            terms = compute_terms(learner, part[0], drawn, phase, cfg.target_rate)
            return carry, terms._replace(finite=terms.loss)  # one for each example, not looked at

        _, terms = scan_micro_batches(of_part, None, (batch, randomness.keys), parts)
        out = dict(terms.metrics)
        if terms.anchors is not None:
            out |= infonce(terms.anchors, examples, cfg.infonce)[1]
        if terms.logit is not None:
            out |= {"logit": terms.logit, "label": batch.label}
        return out

    return validate


def validation_numbers(windows: int, batch: int) -> list[jax.Array]:
    """Return the numbers of the batches that hold at least `windows` examples."""
    count = -(-windows // batch)
    return [jax.device_put(np.int32(i)) for i in range(count)]


def summarise(batches: list[dict[str, Float[np.ndarray, "batch"]]]) -> dict[str, float]:
    """Return means over all examples, and the AUC where there are logits.

    `score` is what checkpoints are ranked by: the AUC, and -1 before anything was trained
    to detect.
    """
    joined = {name: np.concatenate([b[name] for b in batches]) for name in batches[0]}
    logit, label = joined.pop("logit", None), joined.pop("label", None)
    means = {name: float(np.mean(x)) for name, x in joined.items()}
    if logit is None or label is None:
        return means | {"score": -1.0}
    auc = ranking_auc(logit[label < 0.5], logit[label > 0.5])
    return means | {"auc": auc, "score": auc}


def ranking_auc(noise: Float[np.ndarray, "n"], signal: Float[np.ndarray, "m"]) -> float:
    """Return the chance that a signal's logit exceeds a noise window's, ties counted half."""
    order = np.sort(noise)
    below = np.searchsorted(order, signal, side="left")
    up_to = np.searchsorted(order, signal, side="right")
    return float(np.mean(below + up_to) / (2 * noise.size))
