"""The config in the run folder: written once, compared when a run is continued."""

import os
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple

import yaml
from omegaconf import OmegaConf
from omegaconf.errors import OmegaConfBaseException

from ligo_cpc_snn.config.errors import ConfigError
from ligo_cpc_snn.config.schema import Config
from ligo_cpc_snn.reading.errors import DAMAGED, FileContentError, one_line
from ligo_cpc_snn.reading.text import read_yaml_text

CONFIG_FILE = "config.yaml"
CHANGES_FILE = "config_changes.log"
# May differ when a run is continued: where it runs, how long, what is watched and measured.
_FREE = ("run_dir", "resume", "runtime", "trackers", "evaluation", "event", "name")
# How the same strain is got: what of it is kept decides nothing of the training.
_FREE_OF_GWOSC = ("offline", "parallel", "retries", "cache_gb")
_FREE_OF_TRAINING = ("log_every", "evaluate_every", "evaluate_windows", "checkpoint")


class Change(NamedTuple):
    """A setting that a continued run has otherwise than the run before."""

    key: str
    before: Any
    now: Any

    def __str__(self) -> str:
        return f"{self.key}: {self.before} -> {self.now}"


def save_once(cfg: Config, run_dir: str | Path, *, resuming: bool) -> list[Change]:
    """Write the config into the run folder, or compare it with the one of the run continued.

    Args:
        cfg: of this start.
        run_dir: folder of the run; it exists.
        resuming: whether a checkpoint of the folder is continued. If not, the
            folder's config is replaced by this one.

    Returns:
        What differs and may: the file keeps what the run began with, the
        differences are appended to ``config_changes.log``.

    Raises:
        ConfigError: model, data or another setting that must stay differs, or the
            folder's config cannot be read.
    """
    file = Path(run_dir) / CONFIG_FILE
    if not (resuming and file.exists()):
        _write(file, OmegaConf.to_yaml(OmegaConf.structured(cfg), resolve=True))
        return []
    changes = differences(load_saved(run_dir), cfg)
    fixed = [change for change in changes if not _may_change(change.key)]
    if fixed:
        raise ConfigError(
            f"{file} is of a run with other settings, which its checkpoint cannot continue: "
            f"{'; '.join(map(str, fixed))}. Give them as they were, or another name=, or "
            "resume=never to begin anew"
        )
    _append(file.with_name(CHANGES_FILE), changes)
    return changes


def plain(cfg: Any) -> dict[str, Any]:
    """Return a config of any root as dictionaries, lists and scalars, choices by name, for JSON."""
    tree = OmegaConf.to_container(OmegaConf.structured(cfg), resolve=True, enum_to_str=True)
    assert isinstance(tree, dict)  # a dataclass becomes nothing else
    return {str(name): part for name, part in tree.items()}


def load_saved(run_dir: str | Path) -> Config:
    """Read the config of a run folder.

    Args:
        run_dir: folder of a run.

    Returns:
        The config; settings that are newer than the file have their defaults.

    Raises:
        ConfigError: there is none, or it is not one of this package.
    """
    file = Path(run_dir) / CONFIG_FILE
    try:
        text = read_yaml_text(file)
        if "${" in text:  # ours is written resolved; another's could ask for the environment
            raise ValueError("it has an interpolation ${...}, expected values")
        tree = OmegaConf.merge(OmegaConf.structured(Config), OmegaConf.create(text))
        config = OmegaConf.to_object(tree)
    except FileNotFoundError as error:
        raise ConfigError(f"{file}: there is no such file, expected a run folder") from error
    except (OmegaConfBaseException, *DAMAGED, yaml.YAMLError) as error:
        reason = error.reason if isinstance(error, FileContentError) else _first_line(error)
        raise ConfigError(f"{file} is not a config of this version: {reason}") from error
    if not isinstance(config, Config):
        raise ConfigError(f"{file}: expected the keys of a run")
    return config


def _first_line(error: BaseException) -> str:
    return one_line((str(error).splitlines() or [type(error).__name__])[0])


def differences(before: Config, now: Config) -> list[Change]:
    """Return the settings that differ, in the order of the schema."""
    old, new = dict(_leaves(plain(before), "")), dict(_leaves(plain(now), ""))
    keys = list(dict.fromkeys([*old, *new]))
    return [Change(key, old.get(key), new.get(key)) for key in keys if old.get(key) != new.get(key)]


def _leaves(tree: Any, prefix: str) -> list[tuple[str, Any]]:
    if not isinstance(tree, dict):
        return [(prefix[:-1], tree)]
    return [leaf for name, part in tree.items() for leaf in _leaves(part, f"{prefix}{name}.")]


def _may_change(key: str) -> bool:
    first, *rest = key.split(".")
    if rest[:1] == ["gwosc"]:
        return rest[1] in _FREE_OF_GWOSC
    if first != "training":
        return first in _FREE
    # Of the phases' lengths only the last one's: the others decide where the next begins.
    return rest[0] in _FREE_OF_TRAINING or key == "training.finetune.steps"


def _write(file: Path, text: str) -> None:
    """Replace the file in one step: a run that is stopped here leaves no half of it."""
    partial = file.with_name(f".{file.name}.{os.getpid()}")
    partial.write_text(text, encoding="utf-8")
    partial.replace(file)


def _append(file: Path, changes: list[Change]) -> None:
    if not changes:
        return
    now = datetime.now(UTC).isoformat(timespec="seconds")
    with file.open("a", encoding="utf-8") as lines:
        lines.writelines(f"{now} {change}\n" for change in changes)
