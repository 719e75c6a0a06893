"""Runs by the dozen: every combination of swept values, checked before the first one starts."""

import sys
from collections.abc import Callable
from pathlib import Path

import hydra
from hydra._internal.core_plugins.basic_sweeper import BasicSweeper
from hydra.core.hydra_config import HydraConfig
from hydra.core.override_parser.types import Override
from omegaconf import DictConfig, open_dict

from ligo_cpc_snn.config import compose, overrides
from ligo_cpc_snn.config.errors import ConfigError
from ligo_cpc_snn.config.schema import Config


def sweep(run: Callable[[Config], int], arguments: list[str]) -> int:
    """Start one run for each combination through Hydra, so that its launchers work.

    Every combination is composed and checked before the first run starts: a night
    of runs should not end at the third. A run that fails does not stop the others.

    Args:
        run: takes a checked config and returns an exit code.
        arguments: overrides, some with several values (``seed=0,1,2``).

    Returns:
        The largest exit code of the runs that were made in this process.

    Raises:
        ConfigError: a combination is wrong, or two runs would share a folder.
    """
    conf = compose.config_dir()
    parsed = overrides.parse(arguments)
    overrides.check(parsed, conf)
    overrides.check_files(conf, parsed)
    normal = overrides.normalise(parsed, conf)
    _check_combinations(normal, conf)
    compose.register_schema()
    codes: list[int] = []

    def job(composed: DictConfig) -> int:
        code = run(compose.to_config(_with_own_folder(composed)))
        codes.append(code)
        return code

    # Hydra reads the command line itself, in its own spelling.
    sys.argv = [sys.argv[0], "--multirun", *normal]
    decorate = hydra.main(
        version_base=compose.VERSION_BASE, config_path=str(conf), config_name="config"
    )
    decorate(job)()
    return max(codes, default=0)


def _check_combinations(normal: list[str], conf: Path) -> None:
    parsed = overrides.parse(normal)
    if any(one.is_sweep_override() and not one.is_discrete_sweep() for one in parsed):
        return  # drawn by a sweeper as it goes; each run checks its own
    folders: dict[str, list[str]] = {}
    for batch in BasicSweeper.split_arguments(parsed, None):
        for combination in batch:
            overrides.check_files(conf, overrides.parse(combination))
            config = compose.to_config(compose.compose_checked(combination, conf))
            folders.setdefault(config.run_dir, []).append(" ".join(combination))
    if _folder_is_given(parsed) and any(len(runs) > 1 for runs in folders.values()):
        folder = next(folder for folder, runs in folders.items() if len(runs) > 1)
        raise ConfigError(
            f"run_dir={folder} is the same for {len(folders[folder])} runs: put what differs "
            "into it, such as 'run_dir=runs/${name}-${seed}', or leave it out"
        )


def _folder_is_given(parsed: list[Override]) -> bool:
    return any(override.key_or_group == "run_dir" for override in parsed)


def _with_own_folder(composed: DictConfig) -> DictConfig:
    """Give a run of a sweep the folder multirun/<name>/<number>, unless run_dir was given."""
    hydra_cfg = HydraConfig.get()
    if not _folder_is_given(overrides.parse(list(hydra_cfg.overrides.task))):
        with open_dict(composed):
            composed.run_dir = str(Path(hydra_cfg.sweep.dir) / hydra_cfg.sweep.subdir)
    return composed
