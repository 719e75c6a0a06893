"""Measure how fast the parts of a run are, beside other libraries: `ligo-benchmark`.

Each stage is timed in rotation with a reference, matrix products of a fixed size: times of a
noisy machine change, ratios to the reference much less. `ligo-benchmark data` compares the
making of training data with PyCBC, ml4gw and gwpy.

Options beside the overrides of any config key, as model.snn.widths=[256,128]:
"""

import argparse
import json
import sys
from pathlib import Path
from typing import Any

from ligo_cpc_snn.benchmarking.comparing import (
    as_lines,
    changes,
    check_comparable,
    confirmed,
    in_one_only,
    read_result,
)
from ligo_cpc_snn.benchmarking.records import FOLDER, save
from ligo_cpc_snn.benchmarking.scales import SIZES, Scale
from ligo_cpc_snn.benchmarking.tables import as_text
from ligo_cpc_snn.config.command_line import Parser
from ligo_cpc_snn.config.compose import load
from ligo_cpc_snn.config.errors import ConfigError
from ligo_cpc_snn.errors import UserError, in_one_line
from ligo_cpc_snn.stopping import stoppable


def main(arguments: list[str] | None = None) -> int:
    """Print the table; exit 1 when a ceiling or an aim is missed, or a stage became slower."""
    arguments = sys.argv[1:] if arguments is None else arguments
    if arguments[:1] == ["data"]:
        from ligo_cpc_snn.benchmarking.data import main as compare_data

        return compare_data(arguments[1:])
    try:
        return stoppable(lambda: _run(_parser().parse_args(arguments)), "stopped: nothing is kept")
    except (UserError, ConfigError, OSError) as error:
        return in_one_line(error)


def _parser() -> argparse.ArgumentParser:
    parser = Parser("ligo-benchmark", description=__doc__)
    scales = [scale.value for scale in Scale]
    parser.add_argument(
        "--scale", choices=scales, default="small", help="of the work; small: of the aims"
    )
    parser.add_argument(
        "--peers", action="store_true", help="measure other libraries, too (extra bench)"
    )
    parser.add_argument("--json", action="store_true", help="print JSON instead of a table")
    parser.add_argument("--repeats", type=int, help="timed calls of each stage")
    parser.add_argument(
        "--save", type=Path, nargs="?", const=FOLDER, metavar="FOLDER",
        help=f"keep the result there, default {FOLDER}",
    )  # fmt: skip
    parser.add_argument(
        "--compare", type=Path, metavar="FILE",
        help="earlier result: flag stages that are 25 %% slower against the reference",
    )  # fmt: skip
    parser.add_argument("overrides", nargs="*", help="config overrides, as seed=1")
    return parser


def _run(options: argparse.Namespace) -> int:
    if options.repeats is not None and options.repeats < 1:
        raise UserError(f"--repeats={options.repeats}: expected 1 or more")
    before = None if options.compare is None else read_result(options.compare)
    if before is not None and before["scale"] != options.scale:
        raise UserError(f"--compare {options.compare} is of scale {before['scale']}: give --scale")
    if options.save is not None:  # told before minutes are spent
        options.save.mkdir(parents=True, exist_ok=True)
    result = measure(options)
    slower: list[str] = []
    if before is not None:
        check_comparable(result, before)
        found = changes(result, before)
        if any(change.slower for change in found):
            # Once more, so that an accident of one run is not taken for a fault.
            found = confirmed(found, changes(measure(options), before))
        slower = [change.stage for change in found if change.slower]
        result["compared"] = [change._asdict() | {"slower": change.slower} for change in found]
        lines = as_lines(found, in_one_only(result, before))
        print("\n".join(lines), file=sys.stderr if options.json else sys.stdout)
    print(json.dumps(result, indent=2) if options.json else as_text(result))
    if options.save is not None:
        saved = " and ".join(map(str, save(result, options.save)))
        print(f"kept in {saved}", file=sys.stderr)
    return 1 if result["missed"] or slower else 0


def measure(options: argparse.Namespace) -> dict[str, Any]:
    """Measure the scale that was asked for, on the platform of the config."""
    scale = Scale(options.scale)
    size = SIZES[scale]
    cfg = load([*size.overrides, *options.overrides])
    from ligo_cpc_snn.runtime import environment

    runtime = cfg.runtime
    environment.prepare(runtime.platform.value, runtime.memory_fraction, cache=False)
    from ligo_cpc_snn.benchmarking import measuring

    return measuring.measure(cfg, scale, options.repeats or size.repeats, options.peers)


if __name__ == "__main__":
    sys.exit(main())
