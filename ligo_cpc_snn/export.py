"""Export a detector for neuromorphic hardware and other runtimes, or check an exported folder.

The spiking network goes into a NIR graph, encoder and bridge into a StableHLO program. --check
reads a folder back and runs every part of it, the graph in an independent simulator (extra
`export`).
--energy counts operations per second of strain and estimates what their arithmetic takes.
"""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from ligo_cpc_snn.config.command_line import Parser
from ligo_cpc_snn.config.errors import ConfigError
from ligo_cpc_snn.errors import UserError, in_one_line
from ligo_cpc_snn.runtime import environment
from ligo_cpc_snn.stopping import stoppable

SECONDS = 64.0  # of strain, at most
MEMORY_FRACTION = 0.5
EXAMPLES = """examples:
  ligo-export bbh_gaussian -o exported
  ligo-export runs/mine -o exported --weights int8
  ligo-export --check exported --strain H1.hdf5 L1.hdf5
  ligo-export --energy bbh_gaussian runs/cnn_gaussian"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Entry point of `ligo-export`."""
    try:
        return stoppable(lambda: _run(_parser().parse_args(arguments)))
    except (UserError, OSError, ValueError) as error:
        return in_one_line(error)


def _run(options: argparse.Namespace) -> int:
    asked = [options.check is not None, bool(options.energy), options.detector is not None]
    if sum(asked) != 1 or (options.detector is not None) != (options.output is not None):
        raise ConfigError(
            "expected DETECTOR -o FOLDER, --check FOLDER, or --energy DETECTOR ...: give one of "
            "them; --help lists what there is"
        )
    environment.prepare("auto", MEMORY_FRACTION, True, True)  # before JAX is imported
    from ligo_cpc_snn.exporting.quantisation import Part, Weights
    from ligo_cpc_snn.wiring import neuromorphic

    cache = environment.cache_folder()
    if options.check is not None:
        return neuromorphic.check(
            options.check, options.strain, options.seconds, cache, independent=options.simulator
        )
    if options.energy:
        return neuromorphic.energies(options.energy, options.strain, options.seconds, cache)
    weights, part = Weights(options.weights), Part(options.part)
    return neuromorphic.export(options.detector, options.output, weights, part)


def _parser() -> argparse.ArgumentParser:
    parser = Parser(
        prog="ligo-export",
        description=__doc__,
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "detector", nargs="?", help="a shipped one's name, a weights file, or a run folder"
    )
    parser.add_argument("-o", "--output", type=Path, metavar="FOLDER", help="to write to")
    parser.add_argument(
        "--weights", choices=["float32", "int8", "ternary"], default="float32", help="stored as"
    )
    parser.add_argument(
        "--part", choices=["snn", "all"], default="snn", help="whose weights are rounded"
    )
    parser.add_argument("--check", type=Path, metavar="FOLDER", help="read a folder back")
    parser.add_argument("--energy", nargs="+", metavar="DETECTOR", help="count operations")
    parser.add_argument(
        "--strain", nargs="+", default=[], metavar="FILE", help="to run on; else white noise"
    )
    parser.add_argument(
        "--seconds", type=_seconds, default=SECONDS, help=f"of strain; default {SECONDS:g}"
    )
    parser.add_argument(
        "--no-simulator",
        dest="simulator",
        action="store_false",
        help="check without snnTorch and NIRTorch",
    )
    return parser


def _seconds(text: str) -> float:
    value = float(text)
    if not 1 <= value <= 4096:
        raise argparse.ArgumentTypeError(f"{text}: expected 1 to 4096 s")
    return value


if __name__ == "__main__":
    sys.exit(main())
