"""Sweeps: what their presets run, what they return, and where their runs lie."""

import importlib.util
import json
import sys
from pathlib import Path

import pytest
from omegaconf import OmegaConf

from ligo_cpc_snn.config import compose, sweep
from ligo_cpc_snn.config.errors import ConfigError
from ligo_cpc_snn.config.fields import all_keys
from ligo_cpc_snn.config.overrides import groups
from ligo_cpc_snn.config.roots import SEARCH
from ligo_cpc_snn.config.schema import Config
from ligo_cpc_snn.config.sweep_objective import objective_of

ROOT = Path(__file__).resolve().parents[1]
PRESETS = groups(ROOT / "conf")["sweep"]


def plugin(name: str) -> bool:
    return importlib.util.find_spec(f"hydra_plugins.{name}") is not None if HYDRA else False


HYDRA = importlib.util.find_spec("hydra_plugins") is not None
needs_optuna = pytest.mark.skipif(
    not plugin("hydra_optuna_sweeper"), reason="hydra-optuna-sweeper is not installed (sweep)"
)


@pytest.fixture(autouse=True)
def apart(tmp_path, monkeypatch):
    """Runs of a sweep lie in the folder it is started in; Hydra reads sys.argv."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", ["ligo-train"])


def metrics(found: float, rate: float = 1e-3) -> dict:
    curve = {"threshold": {"nominal_rate": rate}, "rates": [{"value": 0.0}, {"value": 2 * found}]}
    return {"detection": {"efficiency": [curve], "auc": [{"value": 0.7}]}}


class Runs:
    """A task that trains nothing and notes what it was asked for."""

    def __init__(self, codes=(), found=lambda cfg: 0.25):
        self.configs, self.codes, self.found = [], list(codes), found

    def __call__(self, cfg) -> int:
        self.configs.append(cfg)
        folder = Path(getattr(cfg, "run_dir", "") or cfg.output_dir)
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "metrics.json").write_text(json.dumps(metrics(self.found(cfg))))
        return self.codes.pop(0) if self.codes else 0


def test_a_preset_of_seeds_makes_a_run_of_each_in_a_folder_of_its_own(tmp_path):
    runs = Runs(codes=[0, 3, 0, 1])
    assert sweep.sweep(runs, ["+sweep=seeds", "name=chance"]) == 3
    assert [cfg.seed for cfg in runs.configs] == [0, 1, 2, 3]
    assert [cfg.run_dir for cfg in runs.configs] == [f"multirun/chance/{i}" for i in range(4)]
    assert {cfg.trackers.wandb.group for cfg in runs.configs} == {"sweep chance"}
    assert not list(tmp_path.glob("multirun/.exit-codes*"))


def test_naming_a_sweep_means_many_runs():
    assert sweep.is_sweep(["seed=1", "+sweep=seeds"])
    assert sweep.is_sweep(["sweep=seeds"])
    assert not sweep.is_sweep(["seed=1", "sweep=null", "name=sweep"])


def test_the_local_launcher_is_hydras_own():
    runs = Runs()
    assert sweep.sweep(runs, ["hydra/launcher=local", "seed=5,6"]) == 0
    assert [cfg.seed for cfg in runs.configs] == [5, 6]


@pytest.mark.parametrize("name", PRESETS)
def test_presets_open_with_their_question_and_sweep_settings_that_there_are(name):
    file = ROOT / "conf" / "sweep" / f"{name}.yaml"
    lines = file.read_text().splitlines()
    assert lines[0] == "# @package _global_"
    assert lines[1].endswith("?")
    swept = OmegaConf.load(file).hydra.sweeper.params
    assert set(swept) <= set(all_keys(Config))


@pytest.mark.parametrize(
    "argument, extra",
    [("+sweep=learning_rate", "sweep"), ("hydra/launcher=ray", "ray"),
     ("hydra/launcher=slurm", "slurm")],
)  # fmt: skip
def test_a_missing_package_is_named_with_its_extra(argument, extra, monkeypatch):
    from hydra.core.plugins import Plugins

    monkeypatch.setattr(Plugins, "discover", lambda self: [])
    with pytest.raises(ConfigError, match=rf"pip install 'ligo-cpc-snn\[{extra}\]'"):
        sweep.sweep(Runs(), ["seed=0,1", argument])


def test_the_objective_is_the_share_found_at_the_lowest_rate(tmp_path):
    file = tmp_path / "metrics.json"
    both = metrics(0.3, 1e-2)
    both["detection"]["efficiency"] += metrics(0.2, 1e-4)["detection"]["efficiency"]
    file.write_text(json.dumps(both))
    assert objective_of(tmp_path) == pytest.approx(0.2)
    both["detection"]["efficiency"] = []
    file.write_text(json.dumps(both))
    assert objective_of(tmp_path) == 0.7
    for broken in ("{}", '{"detection": {}}', '{"detection": {"efficiency": [], "auc": []}}'):
        file.write_text(broken)
        with pytest.raises(ConfigError, match=r"does not tell how well .* run\.log"):
            objective_of(tmp_path)


@needs_optuna
@pytest.mark.filterwarnings("default")  # of Optuna 2 and its data base
def test_optuna_raises_what_runs_find(tmp_path):
    runs = Runs(found=lambda cfg: 0.5 - abs(cfg.training.finetune.learning_rate - 1e-3))
    arguments = ["+sweep=learning_rate", "hydra.sweeper.n_trials=6", "hydra.sweeper.n_jobs=2"]
    assert sweep.sweep(runs, ["name=best", *arguments]) == 0
    rates = [cfg.training.finetune.learning_rate for cfg in runs.configs]
    assert len(set(rates)) == 6
    best = OmegaConf.load(tmp_path / "multirun/best/optimization_results.yaml")
    assert best.best_value == pytest.approx(max(runs.found(cfg) for cfg in runs.configs))


@needs_optuna
@pytest.mark.filterwarnings("default")
def test_a_run_that_fails_does_not_end_the_search_for_the_best():
    runs = Runs(codes=[0, 1, 0])
    arguments = ["+sweep=learning_rate", "hydra.sweeper.n_trials=4", "hydra.sweeper.n_jobs=4"]
    assert sweep.sweep(runs, arguments) == 1
    assert len(runs.configs) == 4


def test_parts_of_a_search_belong_to_one_folder():
    runs = Runs()
    assert sweep.sweep(runs, ["part=1/2,2/2", "name=month"], SEARCH) == 0
    assert [cfg.part for cfg in runs.configs] == ["1/2", "2/2"]
    assert {cfg.output_dir for cfg in runs.configs} == {"searches/month"}


def test_searches_of_different_settings_get_folders_of_their_own():
    runs = Runs()
    assert sweep.sweep(runs, ["psd_seconds=64,128", "name=two"], SEARCH) == 0
    assert [cfg.output_dir for cfg in runs.configs] == ["multirun/two/0", "multirun/two/1"]
    with pytest.raises(ConfigError, match="output_dir=here is the same for 2 runs"):
        sweep.sweep(Runs(), ["psd_seconds=64,128", "output_dir=here"], SEARCH)


@pytest.mark.parametrize("part", ["5/4", "0/4", "1", "a/b", "1/4/2"])
def test_a_wrong_part_is_named(part):
    with pytest.raises(ConfigError, match=rf"part={part}: expected i/n"):
        compose.load_root([f"part={part}"], SEARCH)
