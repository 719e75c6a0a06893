"""The page and the forecast of `ligo-profile`, from a record made by hand."""

import json

import pytest
from tiny import tiny

from ligo_cpc_snn.reports.profile_figures import event_bars, nested, stage_bars
from ligo_cpc_snn.reports.profile_page import summary, tables, write_profile_report
from ligo_cpc_snn.reports.profile_plots import profile_plots
from ligo_cpc_snn.reports.theme import DARK, LIGHT, png
from ligo_cpc_snn.reports.words import JOINT
from ligo_cpc_snn.wiring.profile import shortened
from ligo_cpc_snn.wiring.profile_forecast import forecast


def stage(*path, seconds=1.0, own=0.5):
    return {
        "path": list(path), "calls": 1, "seconds": seconds, "self_seconds": own,
        "cpu_seconds": seconds, "resident_peak": 2_000_000, "resident_growth": 0, "device_peak": 0,
    }  # fmt: skip


def span(*path, begin=0.0, seconds=1.0, thread="MainThread"):
    return {
        "path": list(path), "thread": thread, "begin": begin, "seconds": seconds,
        "resident_peak": 0, "device_peak": 0,
    }  # fmt: skip


def program(name, *seconds):
    memory = {"arguments": 1, "outputs": 1, "temporaries": 5_000_000, "donated": 0, "code": 0}
    return {"name": name, "seconds": list(seconds), "flops": 1e9, "bytes_accessed": 1e6,
            "memory_bytes": memory}  # fmt: skip


def event(name, begin, seconds, line="pool", operation=True):
    return {"name": name, "begin": begin, "seconds": seconds, "line": line, "operation": operation}


def record(**more):
    return {
        "name": "by hand",
        "kind": "run",
        "stages": [
            stage("run", seconds=10.0),
            stage("run", "banks", seconds=3.0),
            stage("run", "training", seconds=6.0),
        ],
        "spans": [
            span("run", seconds=10.0),
            span("run", "banks", begin=0.5, seconds=3.0),
            span("whiten", begin=1.0, seconds=2.0, thread="whitening_0"),
        ],
        "memory": {"sampled_every_seconds": 0.01, "samples": [[0.0, 1, 0], [9.0, 2, 0]]},
        "programs": [program("finetune: training step", 0.2, 0.1, 0.1)],
        "compilation": [{
            "function": "step", "programs": 1, "from_cache": 0, "trace_seconds": 0.5,
            "lower_seconds": 0.25, "compile_seconds": 4.0,
        }],
        "trace": {
            "program": "finetune: training step", "calls": 2, "seconds": 0.1, "file": "trace/x.pb",
            "events": [event("dot.3", 0.0, 0.08), event("add", 0.01, 0.02)],
            "operations": [{"name": "dot.3", "source": "encoder", "seconds": 0.08, "runs": 1.0}],
        },
        "forecast": [{"part": "whole run", "seconds": 7200.0}],
        "peak_memory_bytes": 1_500_000_000,
        "warnings": ["3 MB of this process went to swap <&>"],
        "machine": {"device": "cpu"},
        "versions": {"jax": "0.10.2"},
    } | more  # fmt: skip


def test_the_page_holds_what_was_measured(tmp_path):
    (tmp_path / "profile.json").write_text(json.dumps(record()))
    page = write_profile_report(tmp_path).read_text()
    for text in ("by hand", "banks", "dot.3", "encoder", f"2{JOINT}h"):
        assert text in page, text
    assert "3 MB of this process went to swap &lt;&amp;&gt;" in page  # a warning, escaped
    assert {path.name for path in (tmp_path / "figures").iterdir()} == {
        "flame_stages.png",
        "flame_call.png",
    }
    assert "trace/x.pb" in page


def test_a_profile_without_a_trace_or_forecast_says_so(tmp_path):
    bare = record(trace={"missing": "give more --steps"}, warnings=[])
    del bare["forecast"]
    (tmp_path / "profile.json").write_text(json.dumps(bare))
    page = write_profile_report(tmp_path).read_text()
    assert "give more --steps" in page
    assert "Read this before the numbers" not in page
    assert "What the whole run would take" not in page
    assert not (tmp_path / "figures" / "flame_call.png").exists()


def test_the_summary_names_the_longest_stage():
    text = summary(record())
    assert f"10{JOINT}s in all, 4{JOINT}s of it the compiler" in text
    assert f"longest stage is training with 6{JOINT}s" in text
    assert "1.50 GB" in text


def test_rates_follow_from_times_and_operations():
    (programs,) = [table for table in tables(record()) if table.title == "Compiled programs"]
    (row,) = programs.rows
    assert row[:5] == ("finetune: training step", "3", "100.00", "100.00", "10.0")


@pytest.mark.parametrize("theme", [LIGHT, DARK], ids=["light", "dark"])
def test_flame_charts_are_drawn(theme):
    for plot in profile_plots(record()):
        assert png(plot.draw(theme)).startswith(b"\x89PNG")


def test_stages_lie_below_the_one_around_them():
    bars, rows = stage_bars(record()["spans"])
    assert [(bar.row, bar.name) for bar in bars] == [(0, "run"), (1, "banks"), (2, "whiten")]
    assert rows == 3
    assert bars[1].family == "banks"


def test_events_nest_by_time():
    events = [
        event("outer", 0, 10),
        event("first", 1, 3),
        event("inside first", 2, 1),
        event("second", 5, 2),
        event("after", 11, 1),
    ]
    depths = {found["name"]: depth for depth, found in nested(events)}
    assert depths == {"outer": 0, "first": 1, "inside first": 2, "second": 1, "after": 0}


def test_lines_of_operations_come_before_the_runtimes():
    events = [
        event("wait", 0, 100, line="host", operation=False),
        event("dot.12", 10, 20, line="pool"),
    ]
    bars, rows = event_bars(events)
    assert [(bar.row, bar.name, bar.family) for bar in bars] == [
        (0, "dot.12", "dot"),
        (1, "wait", ""),
    ]
    assert rows == 2


def test_a_forecast_scales_steps_and_keeps_the_rest():
    cfg = tiny("training.finetune.steps=100", "training.evaluate_every=50")
    short = shortened(cfg, "somewhere", 5)
    got = record(
        programs=[
            program("finetune: training step", 0.9, 0.1, 0.1, 0.1, 0.1),
            program("finetune: validation", 0.01),
        ]
    )
    parts = {part["part"]: part["seconds"] for part in forecast(cfg, short, got)}
    assert parts["finetune: 100 steps"] == pytest.approx(10.0)
    batches = -(-cfg.training.evaluate_windows // cfg.evaluation.batch_size)
    assert parts["validation"] == pytest.approx(2 * batches * 0.01)
    assert parts["banks"] == 3.0
    assert "training" not in parts
    assert parts["whole run"] == pytest.approx(sum(parts.values()) - parts["whole run"])


def test_a_shortened_run_changes_steps_and_where_it_writes():
    cfg = tiny("training.pretrain.steps=0", "training.finetune.steps=100")
    short = shortened(cfg, "profiles/x/profiled", 5)
    steps = [getattr(short.training, name).steps for name in ("pretrain", "probe", "finetune")]
    assert steps == [0, 4, 5]
    assert short.run_dir == "profiles/x/profiled"
    assert (short.data, short.model, short.evaluation) == (cfg.data, cfg.model, cfg.evaluation)
