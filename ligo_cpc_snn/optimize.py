"""Find the fastest way for a config on this machine: `ligo-optimize +experiment=quickstart`.

The workloads of the config (a training step; a search, time slides and a single window with its
detector) are measured in several ways, and what won is kept in the cache folder: commands with
runtime.tuning=auto (the default) then use it. A way that differs from the plain one by more than
its precision's tolerance cannot win; bfloat16 can: runtime.kernels.precision=float32 keeps it out.
"""

import argparse
import logging
import sys
from pathlib import Path
from typing import Any

from ligo_cpc_snn.config.command_line import Parser, program
from ligo_cpc_snn.config.compose import load, load_root
from ligo_cpc_snn.config.errors import ConfigError
from ligo_cpc_snn.config.roots import SEARCH
from ligo_cpc_snn.config.search_arguments import quoted
from ligo_cpc_snn.errors import UserError, in_one_line
from ligo_cpc_snn.runtime import environment, tuning_store
from ligo_cpc_snn.stopping import stoppable

ROUNDS = 9
STOPPED = "stopped: workloads that were measured to their end are kept"
EXAMPLES = """examples:
  {program} +experiment=quickstart
  {program} +experiment=quickstart --workload "training step" --rounds 15
  {program} --detector bbh_o3 --workload search
  {program} --explain
  {program} --explain "training step\""""


def main(arguments: list[str] | None = None) -> int:
    """Entry point of `ligo-optimize`."""
    try:
        options = _parse(sys.argv[1:] if arguments is None else arguments)
        if options.explain is not None:
            return explain(options.explain)
        return stoppable(lambda: measure(options), STOPPED)
    except (UserError, OSError, ValueError) as error:
        return in_one_line(error)


def explain(workload: str) -> int:
    """Print the measurements behind the stored choices of this machine."""
    from ligo_cpc_snn.reports.tuning_tables import print_entries

    if workload and workload not in tuning_store.WORKLOADS:
        names = ", ".join(repr(name) for name in tuning_store.WORKLOADS)
        raise ConfigError(f"--explain {workload!r}: expected one of {names}, or nothing for all")
    entries = tuning_store.entries(workload or None)
    if not entries:
        print(f"nothing measured yet in {tuning_store.folder()}: run ligo-optimize with a config")
        return 0
    print_entries([(vars(entry), entry.expired) for entry in entries])
    return 0


def measure(options: argparse.Namespace) -> int:
    """Measure the workloads of a config and print what won."""
    logging.basicConfig(level=logging.INFO, format="%(message)s", stream=sys.stderr)
    for name in ("jax", "jaxlib", "absl"):
        logging.getLogger(name).setLevel(logging.WARNING)
    cfg = _config(options)
    runtime = cfg.runtime
    chosen = environment.prepare(runtime.platform.value, runtime.memory_fraction, cache=True)
    environment.verify_platform(chosen)
    # Imported only now: JAX reads its variables once.
    from ligo_cpc_snn.reports.tuning_tables import print_entries
    from ligo_cpc_snn.wiring.optimize import optimise, workloads_of

    known = workloads_of(cfg)
    unknown = [name for name in options.workload if name not in known]
    if unknown:
        raise ConfigError(
            f"--workload {unknown[0]!r}: expected {', '.join(repr(name) for name in known)}"
        )
    found = optimise(cfg, options.workload or known, options.rounds)
    print_entries([(vars(entry), "") for entry in found])
    return 0


def _config(options: argparse.Namespace) -> Any:
    """Return the config of a search where a detector is named, else of a training."""
    if options.detector is None:
        return load(options.overrides)
    return load_root([f"detector={quoted(options.detector)}", *options.overrides], SEARCH)


def _parse(arguments: list[str]) -> argparse.Namespace:
    parser = Parser(
        prog=Path(program()).name if " " not in program() else program(),
        description=__doc__,
        epilog=EXAMPLES.format(program="ligo-optimize"),
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument("overrides", nargs="*", help="of the config, as +experiment=quickstart")
    parser.add_argument("--detector", help="measure a search with it instead of a training")
    parser.add_argument(
        "--workload", action="append", default=[], help="one of them only; may be repeated"
    )
    parser.add_argument("--rounds", type=int, default=ROUNDS, help="of each race (%(default)s)")
    parser.add_argument(
        "--explain",
        nargs="?",
        const="",
        metavar="WORKLOAD",
        help="print the measurements behind what was chosen, and measure nothing",
    )
    options = parser.parse_intermixed_args(arguments)
    if options.rounds < 3:
        raise ConfigError(f"--rounds {options.rounds}: expected 3 or more, quartiles need them")
    return options


if __name__ == "__main__":
    sys.exit(main())
