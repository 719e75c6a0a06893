"""Compilation ahead of time and its count."""

import logging

import jax
import jax.numpy as jnp
import pytest

from ligo_cpc_snn.runtime.compilation import CompilationCounter, compile_ahead


def test_counter_sees_each_compilation_once() -> None:
    function = jax.jit(lambda x: x * 3 + 1)
    three, four = jnp.zeros(3), jnp.zeros(4)
    with CompilationCounter() as counter:
        function(three)
        function(three)
    assert counter.total == 1
    with CompilationCounter() as counter:
        function(three)
    assert counter.total == 0
    with CompilationCounter() as counter:
        function(four)
    assert counter.total == 1


def test_counter_stops_at_the_end_of_its_block() -> None:
    with CompilationCounter() as counter:
        pass
    jax.jit(lambda x: x * 5 - 1)(jnp.zeros(3))
    assert counter.total == 0


def test_weakly_typed_argument_is_seen_as_a_second_compilation() -> None:
    function = jax.jit(lambda x: x * 7 + 2)
    strong = jnp.zeros((), jnp.float32)
    with CompilationCounter() as counter:
        function(strong)
        function(0.0)
    assert counter.total == 2


def test_compile_ahead_says_how_long_and_compiles_once(caplog: pytest.LogCaptureFixture) -> None:
    values = jnp.arange(3.0)
    with caplog.at_level(logging.INFO), CompilationCounter() as counter:
        compiled = compile_ahead("triple", lambda x: 3 * x, jax.ShapeDtypeStruct((3,), jnp.float32))
        result = compiled(values)
    assert counter.total == 1
    assert result.tolist() == [0.0, 3.0, 6.0]
    (record,) = [r for r in caplog.records if r.name == "ligo_cpc_snn.runtime.compilation"]
    assert record.getMessage().startswith("triple")
    assert " in " in record.getMessage()


def test_compile_ahead_refuses_another_shape() -> None:
    compiled = compile_ahead("double", jax.jit(lambda x: 2 * x), jnp.zeros(3))
    with pytest.raises(TypeError):
        compiled(jnp.zeros(4))
