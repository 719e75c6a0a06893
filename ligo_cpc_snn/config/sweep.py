"""Runs by the dozen: every combination of swept values, checked before the first one starts.

They are started by Hydra's launchers: `local` one after the other in this process, `ray` and
`slurm` in processes of their own. Sweepers choose the values: Hydra's own takes every
combination, Optuna's those that promise most.
"""

import secrets
import shutil
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import hydra
from hydra._internal.core_plugins.basic_sweeper import BasicSweeper
from hydra.core.hydra_config import HydraConfig
from hydra.core.override_parser.types import Override
from omegaconf import DictConfig, open_dict

from ligo_cpc_snn.config import compose, overrides
from ligo_cpc_snn.config.errors import ConfigError
from ligo_cpc_snn.config.roots import TRAINING, Root
from ligo_cpc_snn.config.sweep_objective import objective_of

CODES = ".exit-codes"  # folder of a sweep under way: jobs of other processes leave theirs there
# Choices of hydra/launcher and hydra/sweeper that are packages of their own: their extras.
EXTRAS = {"optuna": "sweep", "ray": "ray", "submitit": "slurm", "slurm": "slurm"}


def is_sweep(arguments: list[str]) -> bool:
    """Return whether arguments name a sweep of conf/sweep, which means many runs."""
    named = (text.lstrip("+").partition("=") for text in arguments)
    return any(key == "sweep" and value not in ("", "null") for key, _, value in named)


def sweep(run: Callable[[Any], int], arguments: list[str], root: Root[Any] = TRAINING) -> int:
    """Start one run for each combination through Hydra, so that its launchers work.

    Every combination is composed and checked before the first run starts: a night
    of runs should not end at the third. A run that fails does not stop the others.

    Args:
        run: takes a checked config and returns an exit code.
        arguments: overrides, some with several values (``seed=0,1,2``).
        root: what is composed.

    Returns:
        The largest exit code of the runs.

    Raises:
        ConfigError: a combination is wrong, or two runs would share a folder.
    """
    conf = compose.config_dir()
    parsed = overrides.parse(arguments)
    overrides.check(parsed, conf, root)
    overrides.check_files(conf, parsed, root)
    normal = overrides.normalise(parsed, conf, root)
    _check_plugins(parsed)
    _check_combinations(normal, conf, root)
    compose.register_schema(root)
    # Hydra reads the command line itself, in its own spelling.
    sys.argv = [sys.argv[0], "--multirun", *normal]
    decorate = hydra.main(
        version_base=compose.VERSION_BASE, config_path=str(conf), config_name=root.file
    )
    with _exit_codes() as codes:
        decorate(_Job(run, root, codes))()
        return max((int(file.read_text()) for file in codes.iterdir()), default=0)


class _Job:
    """One run of a sweep, in this process or, copied there, in another."""

    def __init__(self, run: Callable[[Any], int], root: Root[Any], codes: Path) -> None:
        self.run, self.root, self.codes = run, root, codes
        self.__name__ = "job"  # Hydra asks for it

    def __call__(self, composed: DictConfig) -> float:
        config = compose.to_object(_with_own_folder(composed, self.root), self.root)
        code = self.run(config)
        (self.codes / str(HydraConfig.get().job.num)).write_text(str(code))
        if "optuna" not in str(HydraConfig.get().sweeper.get("_target_", "")):
            return code
        folder = Path(getattr(config, self.root.folder))
        if code:
            raise RuntimeError(f"the run in {folder} ended with exit code {code}")
        return objective_of(folder)


@contextmanager
def _exit_codes() -> Iterator[Path]:
    """Make a folder, that processes of other hosts see as well, and remove it in the end."""
    folder = Path("multirun").absolute() / f"{CODES}-{secrets.token_hex(4)}"
    folder.mkdir(parents=True)
    try:
        yield folder
    finally:
        shutil.rmtree(folder)


def _check_plugins(parsed: list[Override]) -> None:
    """Raise where a launcher or sweeper is asked for whose package is not installed."""
    from hydra.core.plugins import Plugins

    there = {plugin.__module__ for plugin in Plugins.instance().discover()}
    for override in parsed:
        if override.key_or_group not in ("hydra/launcher", "hydra/sweeper", "sweep"):
            continue
        for name, extra in EXTRAS.items():
            plugin = "submitit" if extra == "slurm" else name
            if _needs(override, name) and not any(plugin in module for module in there):
                raise ConfigError(
                    f"{override.input_line}: it needs a package that is not installed: "
                    f"pip install 'ligo-cpc-snn[{extra}]'"
                )


def _needs(override: Override, name: str) -> bool:
    if override.key_or_group != "sweep":
        return str(override.value()).startswith(name)
    file = compose.config_dir() / "sweep" / f"{override.value()}.yaml"
    return f"hydra/sweeper: {name}" in file.read_text(encoding="utf-8")


def _check_combinations(normal: list[str], conf: Path, root: Root[Any]) -> None:
    parsed = overrides.parse(normal)
    if any(one.is_sweep_override() and not one.is_discrete_sweep() for one in parsed):
        return  # drawn by a sweeper as it goes; each run checks its own
    folders: dict[str, list[str]] = {}
    for batch in BasicSweeper.split_arguments(parsed, None):
        for combination in batch:
            overrides.check_files(conf, overrides.parse(combination), root)
            tree = compose.compose_checked(combination, conf, root)
            config = compose.to_object(tree, root)
            folders.setdefault(root.folder_of(config), []).append(" ".join(combination))
    key = root.folder
    if _is_given(parsed, key) and any(len(runs) > 1 for runs in folders.values()):
        folder = next(folder for folder, runs in folders.items() if len(runs) > 1)
        raise ConfigError(
            f"{key}={folder} is the same for {len(folders[folder])} runs: put what differs "
            f"into it, such as '{key}=runs/${{name}}-${{seed}}', or leave it out"
        )


def _is_given(parsed: list[Override], key: str) -> bool:
    return any(override.key_or_group == key for override in parsed)


def _with_own_folder(composed: DictConfig, root: Root[Any]) -> DictConfig:
    """Give a run of a sweep the folder multirun/<name>/<number>, unless its own was given.

    Parts of one search belong together in one folder.
    """
    hydra_cfg = HydraConfig.get()
    given = overrides.parse(list(hydra_cfg.overrides.task))
    if not _is_given(given, root.folder) and not composed.get("part"):
        with open_dict(composed):
            composed[root.folder] = str(Path(hydra_cfg.sweep.dir) / hydra_cfg.sweep.subdir)
    if "trackers" in composed and composed.trackers.wandb.group is None:
        with open_dict(composed):
            composed.trackers.wandb.group = f"sweep {Path(hydra_cfg.sweep.dir).name}"
    return composed
