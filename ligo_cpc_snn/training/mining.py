"""Hard negatives: the noise that the current model takes for signals.

Every so many steps noise windows are drawn and scored, a batch at a time, and where the
loudest of them begin is put into the training state, for the next batches to draw from.
"""

from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int, Key

from ligo_cpc_snn.chunked import in_parts
from ligo_cpc_snn.rng import at_step
from ligo_cpc_snn.training.learner import Params

Draw = Callable[[Any, Key[Array, ""]], tuple[Array, Array]]  # -> strain, starts of a batch
ScoreStrain = Callable[[Params, Array], Array]  # -> window logits
MakeHard = Callable[[Array, Array], Any]  # starts, how many of them are filled
# name, function by its number of parts, arguments -> compiled function
Fit = Callable[[str, Callable[[int], Callable[..., Any]], tuple[Any, ...]], Callable[..., Any]]


class Loudest(NamedTuple):
    """The loudest windows so far, loudest first, and where they begin in each detector."""

    score: Float[Array, "crop"]
    starts: Int[Array, "crop detector"]


class Mining(NamedTuple):
    """Compiled: `search(params, banks, step)` finds hard noise, `forget()` holds none."""

    every: int
    search: Callable[[Params, Any, Array], Any]
    forget: Callable[[], Any]


class Miner(NamedTuple):
    """How noise is drawn and scored.

    Args:
        draw: a batch of noise windows from the training banks.
        score: larger is more signal-like.
        make_hard: what the sampler takes, of starts (crop, detector) and their number.
        key: of the mining stream; the step's and the batch's number are folded in.
        count: windows kept.
        detectors: whose crops make a window.
    """

    draw: Draw
    score: ScoreStrain
    make_hard: MakeHard
    key: Key[Array, ""]
    count: int  # type: ignore[assignment]  # hides tuple.count
    detectors: int

    def begin(self) -> Loudest:
        """Return that nothing was found yet."""
        starts = jnp.zeros((self.count, self.detectors), jnp.int32)
        return Loudest(jnp.full(self.count, -jnp.inf), starts)

    def look(
        self,
        found: Loudest,
        params: Params,
        banks: Any,
        step: Array,
        number: Array,
        parts: int = 1,
    ) -> Loudest:
        """Score one more batch of noise, in `parts`, and keep the loudest."""
        strain, starts = self.draw(banks, at_step(at_step(self.key, step), number))
        score = in_parts(lambda part: self.score(params, part), parts)
        scores = jnp.concatenate([found.score, score(strain)])
        # A score that is no number cannot be the loudest: the step reports its own.
        scores = jnp.where(jnp.isnan(scores), -jnp.inf, scores)
        kept, rows = jax.lax.top_k(scores, self.count)
        return Loudest(kept, jnp.concatenate([found.starts, starts])[rows])

    def conclude(self, found: Loudest) -> Any:
        """Return what the sampler draws from."""
        return self.make_hard(found.starts, jnp.sum(found.score > -jnp.inf).astype(jnp.int32))

    def none(self) -> Any:
        """Return that there is no hard noise."""
        return self.conclude(self.begin())


def prepare_mining(
    miner: Miner,
    *,
    every: int,
    batches: int,
    params: Params,
    banks: Any,
    compile_ahead: Callable[..., Callable[..., Any]],
    jit: Callable[..., Any] = jax.jit,
    fit: Fit | None = None,
) -> Mining:
    """Compile the search for hard noise, in `batches` batches.

    Args:
        every: steps between two searches.
        params, banks: arrays or shapes, of the kind searched with.
        compile_ahead: compiles a jitted function for arguments.
        jit: of functions on all devices of the run.
        fit: compiles the scoring of a batch in as few parts as fit; None: at once.
    """
    zero = jax.device_put(jnp.zeros((), jnp.int32))
    found = jax.eval_shape(miner.begin)
    begin = compile_ahead("mining: begin", jit(miner.begin))
    forget = compile_ahead("mining: forget", jit(miner.none))
    conclude = compile_ahead("mining: conclude", jit(miner.conclude), found)
    name, arguments = "mining: scores", (found, params, banks, zero, zero)
    if fit is None:
        look = compile_ahead(name, jit(miner.look), *arguments)
    else:
        look = fit(name, lambda parts: partial(miner.look, parts=parts), arguments)
    numbers = [jax.device_put(jnp.asarray(i, jnp.int32)) for i in range(batches)]

    def search(params: Params, banks: Any, step: Array) -> Any:
        found = begin()
        for number in numbers:
            found = look(found, params, banks, step, number)
        return conclude(found)

    return Mining(every, search, forget)
