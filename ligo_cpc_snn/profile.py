"""Say where a run's time and memory go: `ligo-profile +experiment=quickstart --steps 20`.

The real stages are run (banks, compilation, steps of each phase, validation, evaluation, report)
with fewer steps; with --search those of a search, by the arguments of `ligo-search`. The folder
has profile.json, report.html with flame charts, and a trace for ui.perfetto.dev.
"""

import argparse
import sys
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from ligo_cpc_snn.config.command_line import Parser, entry
from ligo_cpc_snn.config.errors import ConfigError
from ligo_cpc_snn.config.roots import SEARCH, TRAINING, Root
from ligo_cpc_snn.config.search_arguments import to_overrides
from ligo_cpc_snn.errors import EXPECTED
from ligo_cpc_snn.runtime import environment
from ligo_cpc_snn.runtime.run_folder import open_run_folder
from ligo_cpc_snn.runtime.task import run_task

STEPS, TRACED_CALLS = 20, 5
OPTIONS = f"""
  --steps N          updates of each phase that has any (default {STEPS}; the first is not typical)
  --traced N         calls of the training step, or network, in the trace (default {TRACED_CALLS})
  --to DIR           folder of the profile (default profiles/<name>)
  --search           profile a search: all other arguments are those of ligo-search"""


def main() -> int:
    """Entry point of `ligo-profile`."""
    options = argparse.Namespace()
    root = _root(SEARCH if "--search" in sys.argv[1:] else TRAINING)

    def task(cfg: Any) -> int:
        return profile(cfg, options)

    return entry(
        task,
        description=__doc__,
        expected_errors=EXPECTED,
        root=root,
        translate=_translate(options),
    )


def profile(cfg: Any, options: argparse.Namespace) -> int:
    """Profile one run or search; JAX is imported only after its environment is set."""
    with open_run_folder(Path(options.to or f"profiles/{cfg.name}"), setting="--to") as folder:

        def work() -> int:
            from ligo_cpc_snn.wiring.profile import profile_run, profile_search

            cache = environment.cache_folder()
            if options.search:
                return profile_search(cfg, folder, cache, traced=options.traced)
            return profile_run(cfg, folder, cache, steps=options.steps, traced=options.traced)

        return run_task(folder, cfg.runtime, work, stopped="stopped: there is no profile")


def _root(root: Root[Any]) -> Root[Any]:
    """Return the root of the command that is profiled, with this command's help."""
    of_run = ("+experiment=quickstart", "+experiment=quickstart --steps 50 --to quick")
    of_search = ("--search --detector bbh_o3 --event GW150914",)
    return replace(
        root,
        options=OPTIONS if root is TRAINING else OPTIONS + root.options,
        sweeps=False,  # a profile is of one run
        examples=of_run if root is TRAINING else of_search,
    )


def _translate(options: argparse.Namespace) -> Callable[[Sequence[str]], list[str]]:
    """Return what takes this command's options out of the arguments, into `options`."""

    def translate(arguments: Sequence[str]) -> list[str]:
        parser = Parser(add_help=False, allow_abbrev=False)
        parser.add_argument("--steps", type=int, default=STEPS)
        parser.add_argument("--traced", type=int, default=TRACED_CALLS)
        parser.add_argument("--to")
        parser.add_argument("--search", action="store_true")
        _, others = parser.parse_known_args(list(arguments), options)
        for name, least in (("steps", 1), ("traced", 0)):
            value = getattr(options, name)
            if value < least:
                raise ConfigError(f"--{name} {value}: expected {least} or more")
        return to_overrides(others) if options.search else others

    return translate


if __name__ == "__main__":
    sys.exit(main())
