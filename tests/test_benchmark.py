"""`ligo-benchmark`: its stages run, peers are the same network, a slower stage is told."""

import copy
import json
import os
import subprocess
import sys

import pytest

from ligo_cpc_snn import benchmark
from ligo_cpc_snn.benchmarking import aims, comparing, records, timing
from ligo_cpc_snn.benchmarking.tables import as_markdown, as_text
from ligo_cpc_snn.benchmarking.timing import Timing, time_together
from ligo_cpc_snn.errors import UserError


def run(*arguments: str, **environment: str) -> subprocess.CompletedProcess:
    # The tests' cache of compiled programs; the benchmark itself takes none.
    cache = {"JAX_ENABLE_COMPILATION_CACHE": "true"}
    return subprocess.run(
        [sys.executable, "-m", "ligo_cpc_snn.benchmark", *arguments],
        env=os.environ | cache | environment,
        capture_output=True,
        text=True,
        check=False,
    )


def row(median: float, group: str = "stages", **more: float) -> dict:
    quartiles = [0.9 * median, 1.1 * median]
    ratio = {"ratio": median / 10, "ratio_quartiles": [x / 10 for x in quartiles]}
    rounds = {"rounds_ms": [0.9 * median, median, 1.1 * median]}
    return {"group": group, "median_ms": median, "quartiles_ms": quartiles} | rounds | ratio | more


def result(**stages: float) -> dict:
    """A result of scale small; times in ms, names with _ for a space."""
    rows = {name.replace("_", " "): row(ms) for name, ms in stages.items()}
    made = {
        "scale": "small",
        "setting": {
            "batch": 16, "detectors": 2, "samples": 4096, "snn": [256, 512, 256, 128, 2],
            "search_seconds": 512.0, "slides": 64, "repeats": 3, "kernels": {"lif": "scan"},
        },
        "machine": {
            "platform": "cpu", "device": "cpu", "devices": 1, "processor": "AMD EPYC",
            "cores": 2, "host_memory_bytes": 2**34, "load_before": 0.5,
        },
        "versions": {"jax": "0.10"},
        "stages": rows,
        "reference_ms": {"stages": 10.0},
        "absent": {},
        "peers": True,
        "compilation_s": 1.0,
        "peak_memory_gb": 1.0,
        "aims": aims.measured_aims(rows),
    }  # fmt: skip
    return made | {"missed": aims.missed(made)}


def test_every_stage_of_the_tiny_scale_is_measured(tmp_path):
    """No number is asserted: how fast it is depends on the machine."""
    done = run("--scale=tiny", "--repeats=1", "--json", f"--save={tmp_path}")
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert {
        "data", "encoder", "cpc", "bridge", "forward", "training step", "snn", "snn gradient",
        "snn gradient, spyx.nn.run", "matrix products gradient", "search", "slides",
        "signals made", "noise made",
    } <= set(found["stages"])  # fmt: skip
    assert all(x["median_ms"] > 0 and x["ratio"] > 0 for x in found["stages"].values())
    assert found["stages"]["search"]["unit"] == "s of strain"
    assert {"jax", "spyx", "python"} <= set(found["versions"])
    stem = f"tiny-{records.machine_kind(found['machine'])}"
    assert {file.name for file in tmp_path.iterdir()} == {f"{stem}.json", f"{stem}.md"}
    assert json.loads((tmp_path / f"{stem}.json").read_text()) == found
    assert "training step" in as_text(found)
    assert "host" not in found["machine"]
    assert found["aims"] == found["missed"] == []  # stated for the small scale


def test_a_wrong_key_or_platform_is_one_line():
    wrong = run("modle.snn.widths=[8]")
    assert wrong.returncode == 1
    assert wrong.stderr.count("\n") == 1
    assert "model" in wrong.stderr
    absent = run(LIGO_PLATFORM="cuda", JAX_PLATFORMS="")
    assert absent.returncode == 1
    assert absent.stderr.count("\n") == 1


def test_ratios_are_those_of_one_round(monkeypatch):
    """A machine that is 50 times slower in some rounds changes times, not ratios."""
    clock, calls = [0.0], [0]
    monkeypatch.setattr(timing.time, "perf_counter", lambda: clock[0])

    def work(seconds: float):
        def call() -> None:
            in_round = max(calls[0] - 2, 0) // 2  # after two calls that warm up
            calls[0] += 1
            clock[0] += seconds * (50 if in_round % 3 else 1)

        return call

    got = time_together({"ref": work(5), "twice": work(10)}, 7, warm_up=1, reference="ref")
    assert got["ref"].ratio == got["ref"].ratio_low == 1.0
    assert got["twice"].ratio == got["twice"].ratio_high == pytest.approx(2.0)
    assert got["twice"].high == pytest.approx(500)
    assert got["twice"].low < got["twice"].median


def test_without_a_reference_there_is_no_ratio():
    got = time_together({"one": lambda: sum(range(1000))}, repeats=3)
    assert isinstance(got["one"], Timing)
    assert got["one"].ratio is None


def test_ceilings_and_aims_are_judged_at_their_scale_only():
    names = {"snn gradient": 30.0, "snn gradient, spyx.nn.run": 45.0, "data": 11.0}
    found = result(**names)
    assert any(text.startswith("data: 11.0 ms, ceiling 10") for text in found["missed"])
    assert any(text.startswith("SNN over plain Spyx: 1.50 times") for text in found["missed"])
    assert aims.missed(found | {"scale": "tiny"}) == []
    assert aims.missed(found | {"machine": {"platform": "gpu"}}) == []
    fast = result(**names | {"snn gradient": 20.0, "matrix products gradient": 15.0, "data": 9.0})
    assert fast["missed"] == []
    assert [aim["reached"] for aim in fast["aims"]] == [True, True]
    slow = result(**{"snn gradient": 30.0, "matrix products gradient": 15.0})
    assert slow["missed"] == ["SNN over its matrix products: 2.00 times, aim at most 1.6"]


def test_a_slower_machine_is_no_slower_stage_and_a_slower_stage_is():
    before = result(data=2.0, forward=10.0)
    now = copy.deepcopy(before)
    for of_stage in now["stages"].values():
        of_stage["median_ms"] *= 3  # the reference, too: ratios stay
    assert not any(change.slower for change in comparing.changes(now, before))
    now["stages"]["data"]["ratio"] *= 1.26
    now["stages"]["forward"]["ratio"] *= 1.24
    found = comparing.changes(now, before)
    assert [change.stage for change in found if change.slower] == ["data"]
    assert "SLOWER" in "\n".join(comparing.as_lines(found, ["other"]))
    # What is slower in one run of two is noise.
    assert not any(c.slower for c in comparing.confirmed(found, comparing.changes(before, before)))


def test_results_of_other_work_are_not_compared():
    before, now = result(data=2.0), result(data=2.0, forward=1.0)
    comparing.check_comparable(now, before)
    assert comparing.in_one_only(now, before) == ["forward"]
    now["setting"]["batch"] = 8
    with pytest.raises(UserError, match="batch=16 there, 8 here"):
        comparing.check_comparable(now, before)
    other = result(data=2.0) | {"scale": "tiny"}
    with pytest.raises(UserError, match="scale=small there, tiny here"):
        comparing.check_comparable(other, before)


@pytest.mark.parametrize("text", [None, "no JSON", "[]", '{"scale": "tiny"}'])
def test_a_file_that_is_no_result_is_named(tmp_path, text):
    file = tmp_path / "x.json"
    if text is not None:
        file.write_text(text)
    with pytest.raises(UserError, match=r"x\.json"):
        comparing.read_result(file)


def test_an_aim_is_judged_round_by_round():
    # The machine was ten times slower in two rounds of three; ours was never more than half.
    slow, fast = {"rounds_ms": [20.0, 200.0, 200.0]}, {"rounds_ms": [10.0, 100.0, 10.0]}
    assert aims.times(slow, fast) == 2.0


def test_a_result_without_ratios_is_refused_before_anything_is_measured(tmp_path, capsys):
    broken, file = result(data=2.0), tmp_path / "before.json"
    broken["stages"]["data"]["ratio"] = None
    file.write_text(json.dumps(broken))
    assert benchmark.main([f"--compare={file}"]) == 1
    assert capsys.readouterr().err.count("\n") == 1
    file.write_text(json.dumps(result(data=2.0)))
    assert benchmark.main([f"--compare={file}", "--scale=tiny"]) == 1
    assert "is of scale small" in capsys.readouterr().err


def test_compare_measures_again_before_it_flags(tmp_path, monkeypatch, capsys):
    before, slow = result(data=2.0), result(data=2.0)
    slow["stages"]["data"]["ratio"] *= 2
    file = tmp_path / "before.json"
    file.write_text(json.dumps(before))
    runs = [slow, before, slow, slow]
    monkeypatch.setattr(benchmark, "measure", lambda options: copy.deepcopy(runs.pop(0)))
    assert benchmark.main([f"--compare={file}"]) == 0
    assert "SLOWER" not in capsys.readouterr().out
    assert benchmark.main([f"--compare={file}", "--json"]) == 1
    printed = capsys.readouterr()
    assert json.loads(printed.out)["compared"][0]["slower"]
    assert "SLOWER" in printed.err
    assert runs == []


def test_tables_tell_rates_absent_peers_and_what_was_missed():
    found = result(**{"snn": 5.0, "snn, norse": 50.0, "data": 11.0})
    found["stages"]["search"] = row(100.0, per_second=12345.0, unit="s of strain")
    found["absent"] = {"snntorch": "snntorch is not installed"}
    for text in (as_text(found), as_markdown(found, "amd-epyc-2-cores")):
        assert "10.00" in text  # times ours
        assert "1.234e+04 s of strain/s" in text
        assert "snntorch left out: snntorch is not installed" in text
        assert "missed: data: 11.0 ms" in text
        assert "jax 0.10" in text
    assert "--peers --save" in as_markdown(found, "amd-epyc-2-cores")


def test_names_of_machine_kinds():
    machine = result()["machine"]
    assert records.machine_kind(machine) == "amd-epyc-2-cores"
    gpu = machine | {"platform": "gpu", "device": "NVIDIA H200"}
    assert records.machine_kind(gpu) == "nvidia-h200"
    assert records.machine_kind(gpu | {"devices": 4}) == "4x-nvidia-h200"


@pytest.mark.parametrize("wrong", ["--repeats=x", "--repeats=1.5", "--scale=huge"])
def test_a_wrong_option_is_an_error(wrong, capsys):
    assert benchmark.main([wrong]) == 1
    assert wrong.partition("=")[0] in capsys.readouterr().err


def test_no_repeats_is_an_error(capsys):
    assert benchmark.main(["--repeats=0"]) == 1
    assert "--repeats=0: expected 1 or more" in capsys.readouterr().err
