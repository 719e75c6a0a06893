"""The command line of every entry point: one run, a sweep, help, or the composed config."""

import argparse
import logging
import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NoReturn

from omegaconf import OmegaConf

from ligo_cpc_snn.config.compose import compose_tree, config_dir, load_root, to_object
from ligo_cpc_snn.config.errors import ConfigError
from ligo_cpc_snn.config.help import help_text
from ligo_cpc_snn.config.roots import TRAINING, Root
from ligo_cpc_snn.config.sweep import is_sweep, sweep
from ligo_cpc_snn.errors import in_one_line, text_of
from ligo_cpc_snn.stopping import stoppable

log = logging.getLogger(__name__)

Task = Callable[[Any], int | None]  # takes the checked config of its root
Run = Callable[[Any], int]
# Arguments of a command of its own -> overrides, and the options that every command has.
Translate = Callable[[Sequence[str]], list[str]]


class Parser(argparse.ArgumentParser):
    """An argument parser whose errors are ours: one line, exit code 1."""

    def error(self, message: str) -> NoReturn:
        """Raise ConfigError in place of ending the process with exit code 2."""
        raise ConfigError(f"{message}; --help lists what there is")


def entry(
    task: Task,
    description: str | None = None,
    expected_errors: tuple[type[Exception], ...] = (),
    root: Root[Any] = TRAINING,
    translate: Translate = list,
) -> int:
    """Run a task with the config of the command line.

    Args:
        task: takes the checked config, returns the exit code (None: 0). JAX is not
            imported before it is called.
        description: what the command does, for its help.
        expected_errors: errors of the task that are said in one line, without a
            traceback, and give the exit code 1.
        root: the settings that are composed.
        translate: turns arguments of this command alone into overrides.

    Returns:
        The exit code: 0 when all went well, 1 after an error, 130 after Ctrl-C.
    """
    errors: tuple[type[Exception], ...] = (ConfigError, *expected_errors)

    def run(cfg: Any) -> int:
        return _reported(lambda: task(cfg) or 0, errors)

    about = description or "Train and evaluate a detector."
    command = lambda: _dispatch(run, about, root, translate(sys.argv[1:]))  # noqa: E731
    return stoppable(lambda: _reported(command, errors))


def _reported(action: Callable[[], int], errors: tuple[type[Exception], ...]) -> int:
    """Do something; an expected error becomes one line and the exit code 1."""
    try:
        return action()
    except errors as error:
        # The run has its log already: it goes there too.
        if logging.getLogger().handlers and not os.environ.get("LIGO_TRACEBACK"):
            log.error("%s", text_of(error))
            return 1
        return in_one_line(error)


def _dispatch(run: Run, description: str, root: Root[Any], arguments: list[str]) -> int:
    options = _parse(arguments)
    if options.help:
        print(help_text(program(), description, config_dir(), root))
        return 0
    if options.multirun and not root.sweeps:
        raise ConfigError(
            "--multirun is for training and search: start this command once for each value"
        )
    if options.multirun or (root.sweeps and is_sweep(options.overrides) and not options.cfg):
        return sweep(run, options.overrides, root)
    if options.cfg:
        tree = compose_tree(options.overrides, root)
        to_object(tree.copy(), root)
        print(OmegaConf.to_yaml(tree, resolve=options.resolve), end="")
        return 0
    return run(load_root(options.overrides, root))


def _parse(arguments: list[str]) -> argparse.Namespace:
    parser = Parser(add_help=False, allow_abbrev=False)
    parser.add_argument("overrides", nargs="*")
    parser.add_argument("-h", "--help", action="store_true")
    parser.add_argument("-m", "--multirun", action="store_true")
    parser.add_argument("-c", "--cfg", choices=["job"])
    parser.add_argument("--resolve", action="store_true")
    return parser.parse_intermixed_args(arguments)


def program() -> str:
    """Return how this command was started, as the user would write it again."""
    spec = getattr(sys.modules["__main__"], "__spec__", None)
    if spec is not None and spec.name:
        return f"python -m {spec.name.removesuffix('.__main__')}"
    return Path(sys.argv[0]).name
