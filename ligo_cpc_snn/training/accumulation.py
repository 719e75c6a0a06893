"""The gradient of a batch, taken in micro-batches that fit the memory.

Losses that are means over examples are accumulated as their weighted mean: each
micro-batch contributes the sum over its examples divided by the size of the whole
batch, so a short last micro-batch counts as much as it has examples.

InfoNCE with negatives from the whole batch is no such mean. It is taken exactly in two
passes: the anchors of all micro-batches without a gradient, the loss and its gradient
with respect to the anchors, then again each micro-batch with that gradient pulled back.
Reference: Gao et al. 2021 (arXiv:2101.06983), section 3.2.
"""

from collections.abc import Callable
from typing import Any, NamedTuple, TypeVar

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Key

from ligo_cpc_snn.config.schema import InfoNceConfig, Negatives
from ligo_cpc_snn.objectives.infonce import Anchors, infonce
from ligo_cpc_snn.training.learner import Params, Terms
from ligo_cpc_snn.types import Batch

Examples = TypeVar("Examples")  # a pytree with the examples in front
Part = tuple[Batch, Key[Array, "batch sequence"]]  # with the examples in front
Compute = Callable[[Params, Batch, Key[Array, "batch sequence"]], Terms]


class Accumulated(NamedTuple):
    """Loss, gradient and metrics of a whole batch; metrics are means over examples."""

    loss: Float[Array, ""]
    gradient: Params
    metrics: dict[str, Float[Array, ""]]
    finite: Bool[Array, "part"]


def micro_batch_sizes(batch_size: int, accumulation: int) -> list[tuple[int, int]]:
    """Return (number, size) of the micro-batches: sizes differ by one at most, larger first.

    Raises:
        ValueError: when there are more micro-batches than examples.
    """
    if not 1 <= accumulation <= batch_size:
        raise ValueError(
            f"accumulation={accumulation} of a batch of {batch_size}: expected 1 to it"
        )
    size, larger = divmod(batch_size, accumulation)
    groups = [(larger, size + 1), (accumulation - larger, size)]
    return [(number, size) for number, size in groups if number]


def scan_micro_batches(
    body: Callable[[Any, Examples], tuple[Any, Any]],
    carry: Any,
    whole: Examples,
    accumulation: int,
) -> tuple[Any, Any]:
    """Run `body(carry, part)` over the micro-batches in order and join its outputs by example.

    Every output has the examples, or the sequences, of its part in front.
    """
    start, joined = 0, []
    for number, size in micro_batch_sizes(_examples(whole), accumulation):
        split = lambda x, s=start, n=number, k=size: x[s : s + n * k].reshape(n, k, *x.shape[1:])  # noqa: E731
        carry, out = jax.lax.scan(body, carry, jax.tree.map(split, whole))
        joined.append(jax.tree.map(lambda x: x.reshape(-1, *x.shape[2:]), out))
        start += number * size
    return carry, jax.tree.map(lambda *parts: jnp.concatenate(parts), *joined)


def accumulate(
    compute: Compute,
    params: Params,
    whole: Part,
    *,
    accumulation: int,
    infonce_weight: float,
    cfg: InfoNceConfig,
) -> Accumulated:
    """Return loss and gradient of the whole batch, from `accumulation` micro-batches.

    Args:
        compute: losses of a micro-batch.
        whole: batch, and the keys of its sequences.
        infonce_weight: of the contrastive loss; 0 leaves it out.
        cfg: of the contrastive loss.
    """
    if infonce_weight and cfg.negatives is Negatives.batch:
        return _two_passes(compute, params, whole, accumulation, infonce_weight, cfg)
    total = _examples(whole)

    def loss(params: Params, part: Part) -> tuple[Array, tuple[Terms, dict[str, Array]]]:
        terms = compute(params, *part)
        value = jnp.sum(terms.loss) / total
        metrics: dict[str, Array] = {}
        if infonce_weight:
            assert terms.anchors is not None
            contrast, metrics = infonce(terms.anchors, _examples(part), cfg)
            value += infonce_weight * jnp.sum(contrast) / total
        return value, (terms._replace(anchors=None, logit=None), metrics)

    def body(carry: tuple[Array, Params, Array], part: Part) -> tuple[Any, Any]:
        value, gradient, finite = carry
        (v, (terms, extra)), g = jax.value_and_grad(loss, has_aux=True)(params, part)
        gradient = jax.tree.map(jnp.add, gradient, g)
        return (value + v, gradient, finite & terms.finite), terms.metrics | extra

    (value, gradient, finite), metrics = scan_micro_batches(
        body, _zeros(compute, params, whole), whole, accumulation
    )
    return Accumulated(value, gradient, jax.tree.map(jnp.mean, metrics), finite)


def _two_passes(
    compute: Compute,
    params: Params,
    whole: Part,
    accumulation: int,
    weight: float,
    cfg: InfoNceConfig,
) -> Accumulated:
    total = _examples(whole)

    def represent(carry: None, part: Part) -> tuple[None, Anchors | None]:
        return carry, compute(params, *part).anchors

    _, anchors = scan_micro_batches(represent, None, whole, accumulation)

    def joint(anchors: Anchors) -> tuple[Array, dict[str, Array]]:
        contrast, seen = infonce(anchors, total, cfg)
        return weight * jnp.mean(contrast), seen

    (joint_value, seen), pulled = jax.value_and_grad(joint, has_aux=True)(anchors)
    # The gradient travels with the examples, so that it is split as they are.
    by_example = jax.tree.map(lambda x: x.reshape(total, -1, *x.shape[1:]), pulled)

    def surrogate(params: Params, part: Part, pulled: Anchors) -> tuple[Array, tuple[Array, Terms]]:
        terms = compute(params, *part)
        split = jnp.sum(terms.loss) / total
        flat = jax.tree.map(lambda x: x.reshape(-1, *x.shape[2:]), pulled)
        products = jax.tree.map(lambda a, g: jnp.sum(a * g), terms.anchors, flat)
        return split + sum(jax.tree.leaves(products)), (
            split,
            terms._replace(anchors=None, logit=None),
        )

    def body(carry: Any, inputs: Any) -> tuple[Any, Any]:
        value, gradient, finite = carry
        part, pulled = inputs
        (_, (v, terms)), g = jax.value_and_grad(surrogate, has_aux=True)(params, part, pulled)
        return (value + v, jax.tree.map(jnp.add, gradient, g), finite & terms.finite), terms.metrics

    (value, gradient, finite), metrics = scan_micro_batches(
        body,
        _zeros(compute, params, whole),
        (whole, by_example),
        accumulation,
    )
    means = jax.tree.map(jnp.mean, metrics | seen)
    return Accumulated(value + joint_value, gradient, means, finite)


def _zeros(compute: Compute, params: Params, whole: Part) -> tuple[Array, Params, Array]:
    shape = jax.eval_shape(compute, params, *whole)
    return (
        jnp.zeros((), shape.loss.dtype),
        jax.tree.map(jnp.zeros_like, params),
        jnp.ones(shape.finite.shape, bool),
    )


def _examples(tree: Any) -> int:
    return jax.tree.leaves(tree)[0].shape[0]
