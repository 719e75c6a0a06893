"""Experiment files: found, composed, and checked key by key."""

from pathlib import Path

import pytest

from ligo_cpc_snn.config import command_line, compose
from ligo_cpc_snn.config.errors import ConfigError
from ligo_cpc_snn.config.help import help_text
from ligo_cpc_snn.config.overrides import groups

HEADER = "# @package _global_\n"
ROOT = Path(__file__).resolve().parents[1]


@pytest.fixture
def conf(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of configs like ours with no experiment in it."""
    folder = tmp_path / "conf"
    (folder / "experiment").mkdir(parents=True)
    (folder / "config.yaml").write_text((ROOT / "conf" / "config.yaml").read_text())
    monkeypatch.setattr(compose, "config_dir", lambda: folder)
    monkeypatch.setattr(command_line, "config_dir", lambda: folder)
    return folder


def write(conf: Path, name: str, text: str) -> None:
    (conf / "experiment" / f"{name}.yaml").write_text(text)


@pytest.mark.parametrize("plus", ["", "+"])
def test_experiment_overrides_defaults_and_command_line_overrides_it(conf: Path, plus: str) -> None:
    write(conf, "small", HEADER + "# Does it learn?\nseed: 5\ndata:\n  window_seconds: 2.0\n")
    cfg = compose.load([f"{plus}experiment=small", "seed=6"])
    assert (cfg.seed, cfg.data.window_seconds) == (6, 2.0)


def test_experiment_builds_on_another(conf: Path) -> None:
    write(conf, "base", HEADER + "seed: 5\nname: base\n")
    write(conf, "child", HEADER + "defaults: [base, _self_]\nname: child\n")
    cfg = compose.load(["experiment=child"])
    assert (cfg.seed, cfg.name) == (5, "child")


@pytest.mark.parametrize(
    "text, message",
    [
        (HEADER + "data:\n  windw_seconds: 2\n", "unknown key data.windw_seconds in"),
        (HEADER + "training:\n  batch_size: many\n", "training.batch_size=many in"),
        (HEADER + "sed: 5\n", "did you mean seed"),
        ("seed: 5\n", "@package _global_"),
        (HEADER + "seed: [\n", "is not valid YAML"),
        (HEADER + "- seed\n", "expected keys with values"),
        (HEADER + "defaults: [nothing, _self_]\n", "there is no such experiment"),
    ],
)
def test_wrong_experiment_file_is_named(conf: Path, text: str, message: str) -> None:
    write(conf, "wrong", text)
    with pytest.raises(ConfigError) as error:
        compose.load(["experiment=wrong"])
    assert message in str(error.value)
    assert "wrong.yaml" in str(error.value) or "experiment" in str(error.value)
    assert "\n" not in str(error.value)


def test_unknown_experiment_lists_those_there_are(conf: Path) -> None:
    write(conf, "quickstart", HEADER)
    write(conf, "gw150914", HEADER)
    with pytest.raises(ConfigError, match="there are gw150914, quickstart; did you mean quick"):
        compose.load(["experiment=quikstart"])


def test_help_shows_experiments_settings_and_units(conf: Path) -> None:
    write(conf, "small", HEADER + "# Does it learn?\nseed: 5\n")
    text = help_text("python -m ligo_cpc_snn.train", "Train.", conf)
    assert "small              Does it learn?" in text
    assert "data.psd_segment_seconds=4.0" in text
    assert "# Welch segment" in text
    assert "glr|gru|conv" in text


@pytest.mark.parametrize("name", groups(ROOT / "conf")["experiment"])
def test_every_experiment_of_the_project_has_right_keys_and_opens_with_its_question(
    name: str,
) -> None:
    compose.compose_tree([f"experiment={name}"])
    lines = (ROOT / "conf" / "experiment" / f"{name}.yaml").read_text().splitlines()
    assert lines[0] == HEADER.strip()
    assert lines[1].startswith("# ")
