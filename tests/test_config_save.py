"""The config of a run folder: written once, compared when the run is continued."""

from pathlib import Path

import pytest

from ligo_cpc_snn.config.compose import load
from ligo_cpc_snn.config.errors import ConfigError
from ligo_cpc_snn.config.save import load_saved, plain, save_once


def test_saved_config_is_read_back_whole(tmp_path: Path) -> None:
    cfg = load(["seed=3", "data.lowpass_hz=800", "model.bridge.kind=rate", "name=x"])
    assert save_once(cfg, tmp_path, resuming=False) == []
    assert load_saved(tmp_path) == cfg
    assert plain(cfg)["model"]["bridge"]["kind"] == "rate"


def test_continued_run_keeps_the_file_and_notes_what_may_differ(tmp_path: Path) -> None:
    save_once(load(["training.finetune.steps=10"]), tmp_path, resuming=False)
    before = (tmp_path / "config.yaml").read_text()
    now = load(["training.finetune.steps=20", "training.log_every=1"])
    changes = save_once(now, tmp_path, resuming=True)
    assert [change.key for change in changes] == ["training.finetune.steps", "training.log_every"]
    assert (tmp_path / "config.yaml").read_text() == before
    assert "training.finetune.steps: 10 -> 20" in (tmp_path / "config_changes.log").read_text()


@pytest.mark.parametrize("override", ["offline=true", "parallel=1", "retries=9", "cache_gb=50"])
def test_a_continued_run_may_fetch_its_strain_otherwise(tmp_path: Path, override: str) -> None:
    save_once(load([]), tmp_path, resuming=False)
    (change,) = save_once(load([f"data.gwosc.{override}"]), tmp_path, resuming=True)
    assert change.key == "data.gwosc." + override.split("=")[0]


@pytest.mark.parametrize(
    "override",
    [
        "model.snn.widths=[3]",
        "data.window_seconds=2",
        "seed=1",
        "training.batch_size=4",
        "data.gwosc.event_seconds=99",
    ],
)
def test_continued_run_refuses_another_model_or_data(tmp_path: Path, override: str) -> None:
    save_once(load([]), tmp_path, resuming=False)
    with pytest.raises(ConfigError, match=override.split("=")[0]) as error:
        save_once(load([override]), tmp_path, resuming=True)
    assert "resume=never" in str(error.value)


def test_a_run_that_begins_anew_replaces_the_file(tmp_path: Path) -> None:
    save_once(load(["seed=1"]), tmp_path, resuming=False)
    save_once(load(["seed=2"]), tmp_path, resuming=False)
    assert load_saved(tmp_path).seed == 2


@pytest.mark.parametrize("text", ["nothing_of_ours: 1\n", "seed: [\n", "seed: many\n"])
def test_unreadable_config_is_named(tmp_path: Path, text: str) -> None:
    (tmp_path / "config.yaml").write_text(text)
    with pytest.raises(ConfigError, match=r"config\.yaml is not a config of this version"):
        load_saved(tmp_path)


def test_folder_without_config_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="there is no such file, expected a run folder"):
        load_saved(tmp_path)
