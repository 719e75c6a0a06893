"""Ablations: variants that compose, runs that are not repeated, a table from saved files."""

import json
import subprocess
from pathlib import Path

import pytest
from tiny import TINY

from ligo_cpc_snn.benchmarking import ablations
from ligo_cpc_snn.benchmarking.ablation_table import (
    markdown_table,
    read_row,
    sensitive_distance,
    training_seconds,
)
from ligo_cpc_snn.benchmarking.ablations import (
    VARIANTS,
    Variant,
    budget,
    chosen_variants,
    main,
    plan,
    run_all,
)
from ligo_cpc_snn.config.compose import load
from ligo_cpc_snn.config.errors import ConfigError


def test_every_variant_composes_and_takes_the_same_steps(tmp_path):
    planned = plan(["+experiment=quickstart"], VARIANTS, [0], tmp_path)
    assert len({v.name for v in VARIANTS}) == len(VARIANTS) == len(planned)
    looked_at = ("cpc_on", "cpc_off", "cpc_frozen", "bridge_rate", "neuron_rlif")
    by_name = {}
    for run in planned:
        if run.variant.name not in looked_at:
            continue
        cfg = by_name[run.variant.name] = load(run.command[3:])
        phases = cfg.training.pretrain, cfg.training.probe, cfg.training.finetune
        assert sum(phase.steps for phase in phases) == 1200
        assert (cfg.run_dir, cfg.name) == (str(run.folder), run.folder.name)
    without = by_name["cpc_off"].training
    assert (without.pretrain.steps, without.probe.steps, without.finetune.steps) == (0, 57, 1143)
    frozen = by_name["cpc_frozen"].training
    assert (frozen.pretrain.steps, frozen.probe.steps) == (150, 1050)
    assert not frozen.probe.train_encoder
    assert by_name["bridge_rate"].model.bridge.kind.value == "rate"
    assert by_name["neuron_rlif"].model.snn.neuron.value == "RLIF"


def test_an_experiment_without_pretraining_lends_steps_to_it():
    steps = budget([*TINY, "training.pretrain.steps=0", "training.probe.steps=0"])
    assert steps["pretrain"] == 1
    assert (steps["probe"], steps["finetune"], steps["after"]) == (0, 8, 7)
    steps = budget(TINY)  # 4, 4 and 8
    assert (steps["pretrain"], steps["probe"], steps["finetune"]) == (4, 5, 11)
    assert (steps["later_probe"], steps["later_finetune"]) == (4, 8)


def test_a_large_probe_leaves_all_variants_their_steps(tmp_path):
    planned = plan(["+experiment=bbh_gaussian"], VARIANTS[1:4], [0], tmp_path)
    for run in planned:
        training = load(run.command[3:]).training
        phases = training.pretrain, training.probe, training.finetune
        assert sum(phase.steps for phase in phases) == 3600
        assert training.probe.steps > training.finetune.steps


def test_variants_of_the_same_settings_are_one_run(tmp_path):
    chosen = chosen_variants(["as_it_is", "neuron_lif", "neuron_alif"])
    planned = plan(["+experiment=quickstart"], chosen, [3, 4], tmp_path)
    folders = [run.folder.name for run in planned]
    same = ["as_it_is-seed3", "as_it_is-seed4"]
    assert folders == [*same, *same, "neuron_alif-seed3", "neuron_alif-seed4"]
    assert [run.variant.name for run in planned[2:4]] == ["neuron_lif"] * 2


def test_what_cannot_be_composed_is_refused_before_anything_runs(tmp_path, capsys):
    with pytest.raises(ConfigError, match="kind"):
        plan(TINY, [Variant("x", "wrong", ("model.bridge.kind=smoke",))], [0], tmp_path)
    assert main(["+experiment=quickstart", "--only", "as_it_is,neuron_lfi"]) == 1
    assert "neuron_lfi: expected one of as_it_is, " in capsys.readouterr().err


def test_a_dry_run_prints_commands_and_makes_nothing(tmp_path, capsys):
    folder = tmp_path / "a b"
    arguments = ["+experiment=quickstart", "--folder", str(folder), "--dry-run"]
    assert main([*arguments, "--only", "cpc_off", "--seeds", "1,2"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 2
    assert all("-m ligo_cpc_snn.train +experiment=quickstart " in line for line in lines)
    assert f"'run_dir={folder}/cpc_off-seed2'" in lines[1]
    assert not folder.exists()


def finish(folder: Path, **more) -> None:
    """What a run leaves behind, as far as the table reads it."""
    folder.mkdir(parents=True, exist_ok=True)
    estimates = [{"value": v, "low": v - 0.01, "high": v + 0.02} for v in (0.1, 0.42, 0.815)]
    curves = [
        {"threshold": {"nominal_rate": 0.01}, "rates": estimates[::-1]},
        {"threshold": {"nominal_rate": 0.001}, "rates": estimates},
    ]
    metrics = {
        "detection": {"snrs": [6.0, 8.0, 10.0], "efficiency": curves},
        "parameters": 158123,
        "operations": {
            "bridge_rate_hz": 12.34,
            "neuron_rate_hz": None,
            "accumulates": 1.234e6,
            "multiply_accumulates": 5.6e7,
        },
    }
    (folder / "metrics.json").write_text(json.dumps(metrics | more))
    lines = [
        {"step": 10, "split": "train", "examples_per_second": 20.0},
        {"step": 10, "split": "validation", "loss": 1.0},
        {"step": 25, "split": "train", "examples_per_second": 99.0},
        {"step": 25, "split": "train", "examples_per_second": 10.0},  # again, after a kill
    ]
    (folder / "metrics.jsonl").write_text("".join(json.dumps(x) + "\n" for x in lines))
    (folder / "config.yaml").write_text("training:\n  batch_size: 4\n")


def test_the_table_holds_what_the_files_hold(tmp_path):
    finish(tmp_path / "one")
    table = markdown_table([read_row("neuron", "lif", 7, tmp_path / "one", tmp_path / "none")])
    head, line, row = table.splitlines()[:3]
    assert head.count("|") == line.count("|") == row.count("|")
    cells = [cell.strip() for cell in row.strip("|").split("|")]
    assert cells == [
        "neuron", "lif", "7", "0.42 [0.41, 0.44]", "0.81 [0.80, 0.83]", "-", "-", "-",
        "158 123", "12.3", "-", "1.23e+06", "5.60e+07", "8",
    ]  # fmt: skip


def test_training_time_counts_each_step_once(tmp_path):
    finish(tmp_path)
    assert training_seconds(tmp_path / "metrics.jsonl") == pytest.approx(10 * 4 / 20 + 15 * 4 / 10)


def test_a_distance_is_that_of_the_run_and_the_rate_asked_for(tmp_path):
    def point(rate, distance):
        alarms = {"asked_per_month": rate, "low": 0.9 * rate, "high": 1.1 * rate}
        reach = {"distance": distance, "distance_error": 31.0}
        return {"false_alarms": alarms, "distance_by_largest_injected": 2200.0} | reach

    def search(*points):
        return {"limits": "of a month of injections", "rates": points}

    searches = {
        "matched_filter": search(point(1000.0, 2800.0)),
        "runs/ablations/cpc_off-seed0": search(point(100.0, 1900.0), point(1000.0, 2345.6)),
        "runs/ablations/cpc_on-seed0": search(point(1000.0, 0.0)),
    }
    file = tmp_path / "sensitivity.json"
    file.write_text(json.dumps({"searches": searches}))
    limits = "of a month of injections"
    assert sensitive_distance(file, "cpc_off-seed0") == (2345.6, 31, 2200, 900, 1100, limits)
    assert sensitive_distance(file, "cpc_on-seed0") is None  # found nothing
    assert sensitive_distance(file, "other") is None
    finish(tmp_path / "cpc_off-seed0")
    table = markdown_table([read_row("", "", 0, tmp_path / "cpc_off-seed0", file)])
    assert "| 2346 ± 31 | 2200 | 900 to 1100 |" in table
    assert "d_max and Mc_max of a month of injections" in table


def test_finished_runs_are_left_alone_failed_ones_are_named_and_the_rest_goes_on(
    tmp_path, monkeypatch
):
    chosen = chosen_variants(["as_it_is", "neuron_lif", "cpc_off", "neuron_alif"])
    planned = plan(["+experiment=quickstart"], chosen, [0], tmp_path)
    finish(tmp_path / "cpc_off-seed0")
    started = []

    def run(command, check):
        folder = Path(next(x for x in command if x.startswith("run_dir=")).removeprefix("run_dir="))
        started.append(folder.name)
        if folder.name.startswith("neuron"):
            finish(folder)
        return subprocess.CompletedProcess(command, int(folder.name.startswith("as_it_is")))

    monkeypatch.setattr(subprocess, "run", run)
    assert run_all(planned) == ["as_it_is-seed0"]
    assert started == ["as_it_is-seed0", "neuron_alif-seed0"]
    table = ablations.write_table(planned, tmp_path).read_text()
    assert [name in table for name in ("| cpc_off", "| neuron_alif", "| as_it_is")] == [
        True,
        True,
        False,
    ]


def test_a_stopped_run_stops_the_rest(tmp_path, monkeypatch, capsys):
    def run(command, check):
        return subprocess.CompletedProcess(command, 130)

    monkeypatch.setattr(subprocess, "run", run)
    chosen = ["--only", "as_it_is,cpc_off", "--folder", str(tmp_path)]
    assert main(["+experiment=quickstart", *chosen]) == 130
    assert "goes on" in capsys.readouterr().err
