"""Examine this machine: what can compute here, what a run would take and why.

Every platform and plug-in of JAX is tried by a real computation in a process of its own, so
that a broken one takes nothing down. The exit code is 0 if a run can start, else 1.
"""

import argparse
import json
import sys
from collections.abc import Sequence

from ligo_cpc_snn.config.command_line import Parser
from ligo_cpc_snn.config.errors import ConfigError
from ligo_cpc_snn.errors import in_one_line
from ligo_cpc_snn.runtime.doctor import Examination, examine
from ligo_cpc_snn.runtime.doctor_text import lines
from ligo_cpc_snn.stopping import stoppable

LONGEST = 3600.0  # s
SECONDS = 60.0  # of one trial: a plug-in may compile for some seconds, a hung one never ends


def main(arguments: Sequence[str] | None = None) -> int:
    """Entry point of `ligo-doctor`."""
    try:
        options = _parser().parse_args(arguments)
    except ConfigError as error:
        return in_one_line(error)
    return stoppable(lambda: _tell(examine(options.seconds), options.json))


def _tell(found: Examination, as_json: bool) -> int:
    print(json.dumps(found.plain(), indent=2) if as_json else "\n".join(lines(found)))
    return 0 if found.healthy else 1


def _parser() -> argparse.ArgumentParser:
    parser = Parser(
        prog="ligo-doctor",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--json", action="store_true", help="the same as JSON")
    parser.add_argument(
        "--seconds", type=_seconds, default=SECONDS, help=f"of one trial; default {SECONDS:g}"
    )
    return parser


def _seconds(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = 0.0
    if not 0 < value <= LONGEST:
        raise argparse.ArgumentTypeError(f"{text}: expected a number in (0, {LONGEST:g}]")
    return value


if __name__ == "__main__":
    sys.exit(main())
