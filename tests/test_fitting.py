"""A compiled function of a batch takes it in as few parts as fit, and in more without memory."""

import logging

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from ligo_cpc_snn.chunked import in_parts
from ligo_cpc_snn.fitting import InParts
from ligo_cpc_snn.memory import OutOfMemoryError
from ligo_cpc_snn.runtime.compilation import compile_measured

BATCH, LENGTH = 8, 512
SIZES = [8, 4, 2, 1]
NO_MEMORY = "RESOURCE_EXHAUSTED: Out of memory while trying to allocate 9 bytes."


def windows() -> jax.Array:
    return jnp.asarray(np.random.default_rng(0).standard_normal((BATCH, LENGTH)), jnp.float32)


def widened(strain: jax.Array) -> jax.Array:
    """Make more of a window than it is, and read it again."""
    return jnp.sort(strain[:, None] * jnp.arange(1.0, 9.0)[:, None], axis=-1)[..., ::5].mean((1, 2))


def function(room_bytes: int | None = None, refuse_above: int = BATCH, **settings) -> InParts:
    """Return the function; a program of more than `refuse_above` windows finds no memory."""

    def compile_refusing(name, jitted, *arguments):
        program, needed = compile_measured(name, jitted, *arguments)
        compiled_for.append(next(iter(building)))
        size = compiled_for[-1]

        def run(*given):
            if size > refuse_above:
                raise jax.errors.JaxRuntimeError(NO_MEMORY)
            return program(*given)

        return run, needed

    building, compiled_for = [0], []

    def build(parts: int):
        building[0] = -(-BATCH // parts)
        return in_parts(widened, parts)

    return InParts(
        "scores",
        build,
        (windows(),),
        sizes=SIZES,
        room_bytes=room_bytes,
        compile_measured=compile_refusing,
        **settings,
    )


def test_less_room_means_smaller_parts_and_the_same_result():
    whole = function()
    smaller = function(room_bytes=whole.needed_bytes // 2)
    assert whole.size == BATCH
    assert smaller.size < BATCH
    assert smaller.needed_bytes <= whole.needed_bytes // 2
    np.testing.assert_allclose(smaller(windows()), whole(windows()), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("limit", [4, 1])
def test_without_memory_it_goes_on_in_smaller_parts(limit, caplog):
    run, expected = function(refuse_above=limit), jax.jit(widened)(windows())
    given = windows()
    with caplog.at_level(logging.WARNING), jax.transfer_guard("disallow"):
        got = run(given)
    np.testing.assert_allclose(got, expected, rtol=1e-5, atol=1e-6)
    assert run.size == limit
    assert f"{limit} windows at a time from now on" in caplog.text


def test_a_single_window_without_memory_ends_it():
    with pytest.raises(OutOfMemoryError, match="scores: out of memory with a single window"):
        function(refuse_above=0)(windows())


def test_where_other_processes_would_not_know_it_ends():
    with pytest.raises(jax.errors.JaxRuntimeError, match="RESOURCE_EXHAUSTED"):
        function(refuse_above=4, recovers=False)(windows())


def test_arguments_that_are_lost_are_not_mended_by_smaller_parts():
    """A training step before it failed: the loop knows what to do."""
    run, given = function(refuse_above=4), windows()
    given.delete()
    with pytest.raises(jax.errors.JaxRuntimeError, match="RESOURCE_EXHAUSTED"):
        run(given)
    assert run.size == BATCH
