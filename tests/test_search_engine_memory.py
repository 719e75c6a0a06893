"""The search with less memory than it would like: fewer streams side by side, the same result."""

from dataclasses import replace

import jax
import numpy as np
import pytest
from small_detector import noise, small_detector, small_model

from ligo_cpc_snn.chunked import Chunked
from ligo_cpc_snn.config.model_schema import BridgeConfig, BridgeKind, DetectorFusion
from ligo_cpc_snn.config.search_schema import SearchConfig
from ligo_cpc_snn.memory import OutOfMemoryError
from ligo_cpc_snn.search.engine import Engine
from ligo_cpc_snn.wiring import search_strain_slides

STREAMS = 4
NONE_LEFT = "RESOURCE_EXHAUSTED: Out of memory allocating 9 bytes"


@pytest.fixture(scope="module")
def detector():
    return small_detector()


def engine_of(detector, budget_bytes=None) -> Engine:
    return Engine(
        detector,
        chunk_seconds=2.0,
        streams=STREAMS,
        psd_seconds=6.0,
        keep_features=True,
        budget_bytes=budget_bytes,
    )


def found_by(engine):
    return list(engine.run(noise(3.0 + i, gps=1000.0 + 100 * i, seed=i) for i in range(STREAMS)))


@pytest.fixture(scope="module")
def plenty(detector):
    return found_by(engine_of(detector))


def same(found, expected) -> None:
    for one, other in zip(found, expected, strict=True):
        np.testing.assert_array_equal(one.gps, other.gps)
        np.testing.assert_allclose(one.value, other.value, atol=1e-5)
        np.testing.assert_array_equal(one.features, other.features)


def test_a_budget_lets_fewer_streams_go_side_by_side(detector, plenty, caplog):
    room = engine_of(detector)._program(2)[1]
    engine = engine_of(detector, room)
    same(found_by(engine), plenty)
    assert engine._widest == 2
    assert "2 of streams=4 side by side" in caplog.text


def refusing(engine, most: int, error: str) -> list[int]:
    """Let calls of more than `most` streams fail; return the widths that did, as they come."""
    refused, compiled = [], engine._program

    def program(width):
        run, needed = compiled(width)

        def call(*arguments):
            if width > most:
                refused.append(width)
                raise jax.errors.JaxRuntimeError(error)
            return run(*arguments)

        return call, needed

    engine._program = program
    return refused


def test_a_call_that_finds_no_memory_is_made_again_with_half_the_streams(detector, plenty, caplog):
    engine = engine_of(detector)
    refused = refusing(engine, 1, NONE_LEFT)
    same(found_by(engine), plenty)
    assert refused == [4, 2]
    assert "out of memory with 4 streams side by side: going on with half" in caplog.text


def test_no_memory_for_one_stream_and_other_errors_are_told(detector):
    engine = engine_of(detector)
    refusing(engine, 0, NONE_LEFT)
    with pytest.raises(OutOfMemoryError, match=r"a single stream .* lower chunk_seconds"):
        found_by(engine)
    engine = engine_of(detector)
    refused = refusing(engine, 0, "INTERNAL: a kernel failed")
    with pytest.raises(jax.errors.JaxRuntimeError, match="INTERNAL"):
        found_by(engine)
    assert refused == [4]


@pytest.mark.parametrize("bridge", [BridgeKind.temporal_contrast, BridgeKind.rate])
def test_joint_slides_keep_to_the_memory_and_are_what_the_search_gives(bridge, monkeypatch):
    """Stochastic bridges, whose state has a counter, too."""
    model = small_model(BridgeConfig(kind=bridge))
    model.encoder = replace(model.encoder, detectors=DetectorFusion.joint)
    joint = small_detector(model)
    cfg = SearchConfig(chunk_seconds=1.0, streams=3)
    strain = np.random.default_rng(0).standard_normal((3, 2, 2 * joint.sample_rate_hz))
    strain = strain.astype(np.float32)
    expected = search_strain_slides._runner(joint, cfg)(strain)
    assert np.std(expected) > 1e-3
    network, state = joint.network, joint.network.initial_state(1)
    keys = jax.random.split(jax.random.key(0), network.sequences(1))
    alone = jax.jit(lambda x: network(x, state, keys=keys)[0].frame_logits[0])(strain[2:])
    np.testing.assert_allclose(expected[2], alone, atol=1e-5)
    original, refused = Chunked._run, []

    def refuse(self, windows, fixed, first):
        if self.size > 1:
            refused.append(self.size)
            raise jax.errors.JaxRuntimeError(NONE_LEFT)
        return original(self, windows, fixed, first)

    monkeypatch.setattr(Chunked, "_run", refuse)
    found = search_strain_slides._runner(joint, cfg)(strain)
    assert refused == [3]
    np.testing.assert_allclose(found, expected, atol=1e-5)
