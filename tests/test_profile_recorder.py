"""What the recorder of `ligo-profile` measures: laws of stages, memory, programs and traces."""

import threading
from itertools import pairwise

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from ligo_cpc_snn import stages
from ligo_cpc_snn.runtime.profiling import Recorder
from ligo_cpc_snn.runtime.profiling_memory import LEAST_SWAP_BYTES, Memory, MemorySampler, Swap
from ligo_cpc_snn.runtime.profiling_programs import WARM_UP_CALLS, Programs
from ligo_cpc_snn.runtime.profiling_trace import (
    Event,
    read_events,
    source_names,
    summarise,
    trace_file,
)


def recorder(tmp_path, *, traced=lambda name: False, calls=2, **memory) -> Recorder:
    return Recorder(Programs(tmp_path / "trace", traced, calls), MemorySampler(**memory))


def test_a_stage_without_an_observer_only_runs():
    calls = []

    @stages.stage("adding")
    def add(a, b):
        calls.append((a, b))
        return a + b

    assert add(1, 2) == 3
    assert add(3, b=4) == 7
    assert calls == [(1, 2), (3, 4)]
    compiled = object()
    assert stages.program("p", compiled) is compiled


def test_times_of_stages_add_up(tmp_path):
    with recorder(tmp_path) as seen, stages.observed_by(seen), stages.stage("run"):
        for _ in range(3):
            with stages.stage("inner"):
                np.linalg.svd(np.ones((60, 60)))
        with stages.stage("other"):
            pass
    run, inner, other = (
        seen.totals[path] for path in [("run",), ("run", "inner"), ("run", "other")]
    )
    assert (run.calls, inner.calls, other.calls) == (1, 3, 1)
    assert inner.seconds > 0
    assert run.self_seconds == pytest.approx(run.seconds - inner.seconds - other.seconds)
    assert inner.self_seconds == pytest.approx(inner.seconds)
    spans = [span for span in seen.spans if span.path == ("run", "inner")]
    assert sum(span.seconds for span in spans) == pytest.approx(inner.seconds)
    assert all(a.begin + a.seconds <= b.begin for a, b in pairwise(spans))
    listed = [tuple(stage["path"]) for stage in seen.to_dict()["stages"]]
    assert listed == [("run",), ("run", "inner"), ("run", "other")]


def test_after_the_block_nobody_listens(tmp_path):
    with recorder(tmp_path) as seen, stages.observed_by(seen):
        pass
    with stages.stage("later"):
        pass
    assert not seen.totals


def test_a_stage_that_fails_is_measured_and_closed(tmp_path):
    with recorder(tmp_path) as seen, stages.observed_by(seen), stages.stage("run"):
        with pytest.raises(ZeroDivisionError), stages.stage("fails"):
            _ = 1 / 0
        with stages.stage("next"):
            pass
    assert ("run", "fails") in seen.totals
    assert ("run", "next") in seen.totals  # not below the one that failed


def test_threads_have_stages_of_their_own(tmp_path):
    def background():
        with stages.stage("whiten"):
            pass

    with recorder(tmp_path) as seen, stages.observed_by(seen), stages.stage("run"):
        thread = threading.Thread(target=background, name="whitening")
        thread.start()
        thread.join()
    assert set(seen.totals) == {("run",), ("whiten",)}
    span = next(span for span in seen.spans if span.path == ("whiten",))
    assert span.thread == "whitening"


def test_a_peak_belongs_to_the_stages_under_way(tmp_path):
    level = [100, 0]
    memory = {"period": 60.0, "memory": lambda: Memory(*level), "swap": lambda: Swap(0, 0)}
    with recorder(tmp_path, **memory) as seen, stages.observed_by(seen), stages.stage("run"):
        with stages.stage("small"):
            pass
        with stages.stage("big"):
            seen._seen(900, 70)  # what the sampler does between begin and end
        level[:] = [300, 20]
    peaks = {path[-1]: (x.resident_peak, x.device_peak) for path, x in seen.totals.items()}
    assert peaks == {"small": (100, 0), "big": (900, 70), "run": (900, 70)}
    assert seen.totals[("run",)].resident_growth == 200


def test_the_sampler_sees_what_rises_and_falls(tmp_path):
    looked, high = threading.Event(), iter([50, 800])

    def memory() -> Memory:
        value = next(high, 10)
        if value == 10:
            looked.set()
        return Memory(value, 0)

    sampler = MemorySampler(0.001, memory, lambda: Swap(0, 0))
    seen = []
    sampler.begin(lambda resident, device: seen.append(resident), lambda: 0.0)
    assert looked.wait(30)
    sampler.end()
    assert sampler.peak.resident == 800
    assert seen[:2] == [50, 800]
    assert sampler.warnings() == []


def test_samples_are_thinned_and_not_lost():
    sampler = MemorySampler(memory=lambda: Memory(1, 1), swap=lambda: Swap(0, 0))
    for i in range(2001):
        sampler._keep(float(i), Memory(i, 0))
    times = [when for when, *_ in sampler.samples]
    assert times == [float(i) for i in range(0, 2001, 2)]


@pytest.mark.parametrize(
    "after, warned",
    [
        (Swap(0, 0), None),
        (Swap(5_000_000, 0), "5 MB of this process"),
        (Swap(0, LEAST_SWAP_BYTES), None),
        (Swap(0, 10 * LEAST_SWAP_BYTES), "160 MB to or from swap"),
    ],
)
def test_swap_is_warned_of(after, warned):
    readings = iter([Swap(0, 0), after])
    sampler = MemorySampler(60.0, lambda: Memory(0, 0), lambda: next(readings))
    sampler.begin(lambda *bytes_: None, lambda: 0.0)
    sampler.end()
    if warned is None:
        assert sampler.warnings() == []
    else:
        (text,) = sampler.warnings()
        assert warned in text
        assert "runtime.memory_fraction" in text


def test_memory_and_swap_of_this_process_can_be_read():
    from ligo_cpc_snn.runtime.profiling_memory import read_memory, read_swap

    assert read_memory().resident > 1_000_000
    assert min(read_swap()) >= 0


def test_a_program_is_measured_traced_and_gives_the_same(tmp_path):
    def tanh_of_square(x):
        with jax.named_scope("squaring"):
            square = x @ x
        return jnp.tanh(square)

    x = jnp.linspace(-1.0, 1.0, 64 * 64).reshape(64, 64)
    seen = recorder(tmp_path, traced=lambda name: name == "step", calls=2)
    with seen, stages.observed_by(seen), stages.stage("run"):
        compiled = jax.jit(tanh_of_square).lower(x).compile()
        for_memory = stages.program("step", compiled)
        step = stages.program("step", compiled)
        results = [step(x) for _ in range(WARM_UP_CALLS + 4)]
    np.testing.assert_array_equal(results[-1], compiled(x))
    assert for_memory.memory_analysis() is not None  # asked beside calls, the program answers
    record = seen.to_dict()
    (program,) = record["programs"]  # the one that was never called is not listed
    assert len(program["seconds"]) == len(results)
    assert program["flops"] >= 2 * 64**3
    assert program["memory_bytes"]["arguments"] == x.nbytes
    made = {row["function"]: row for row in record["compilation"]}["tanh_of_square"]
    assert made["programs"] == 1
    assert made["compile_seconds"] > 0
    assert made["lower_seconds"] > 0
    file = trace_file(tmp_path / "trace")
    summary = summarise(read_events(file), "step", seen.programs.sources)
    assert summary["calls"] == 2
    assert 0 < summary["seconds"] < 10
    names = {event["name"] for event in summary["events"]}
    assert "step" in names
    operations = [event["name"] for event in summary["events"] if event["operation"]]
    assert operations
    listed = {row["name"]: row for row in summary["operations"]}
    assert set(operations) <= set(listed)
    assert all(row["runs"] >= 0.5 for row in listed.values())
    assert any("squaring" in source for source in seen.programs.sources.values())


def test_programs_of_one_name_are_kept_apart(tmp_path):
    seen = recorder(tmp_path)
    x = jnp.ones(3)
    with seen, stages.observed_by(seen):
        for factor in (1.0, 2.0):
            compiled = jax.jit(lambda x, f=factor: f * x).lower(x).compile()
            stages.program("same", compiled)(x)
    assert [row["name"] for row in seen.to_dict()["programs"]] == ["same", "same, #2"]


def test_sources_are_read_from_a_program():
    text = """
      %fusion.3 = f32[4]{0} fusion(%p), metadata={op_name="jit(step)/encoder/dot" id=3}
      ROOT dot.1 = f32[4]{0} dot(%a, %b), metadata={op_name="jit(step)/snn/mul"}
      %no_metadata = f32[4]{0} add(%a, %b)
    """
    assert source_names(text) == {"fusion.3": "jit(step)/encoder/dot", "dot.1": "jit(step)/snn/mul"}


def test_a_trace_is_summed_by_operation_and_call():
    events = [
        Event("host", "step", 0, 100, False),
        Event("pool", "dot", 10, 40, True),
        Event("host", "step", 200, 100, False),
        Event("pool", "dot", 210, 60, True),
        Event("pool", "dot", 900, 60, True),  # after the calls
        Event("pool", "runtime", 205, 3, False),
    ]
    summary = summarise(events, "step", {"dot": "encoder"})
    assert summary["calls"] == 2
    assert summary["seconds"] == pytest.approx(100e-9)
    (row,) = summary["operations"]
    assert row["name"] == "dot"
    assert row["source"] == "encoder"
    assert row["runs"] == 1
    assert row["seconds"] == pytest.approx(50e-9)
    shown = [(event["name"], event["begin"]) for event in summary["events"]]
    assert shown == [("step", 0.0), ("runtime", pytest.approx(5e-9)), ("dot", pytest.approx(1e-8))]
    assert summarise([], "step", {})["calls"] == 0
