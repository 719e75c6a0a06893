"""Search a file of strain by matched filter: `python -m ligo_cpc_snn.search.matched --help`."""

import argparse
import json
import logging
import sys
from pathlib import Path
from typing import NoReturn

from ligo_cpc_snn.errors import UserError, in_one_line
from ligo_cpc_snn.runtime.environment import prepare


class _Parser(argparse.ArgumentParser):
    """An argument parser whose errors are ours: one line, exit code 1."""

    def error(self, message: str) -> NoReturn:
        raise UserError(f"{message}; {self.prog} --help lists what there is")


def main(arguments: list[str] | None = None) -> int:
    """Run the command and print how it went; the exit code is 0, or 1 after an error."""
    logging.basicConfig(level=logging.INFO, format="%(message)s", stream=sys.stderr)
    try:
        options = _parser().parse_args(sys.argv[1:] if arguments is None else arguments)
        prepare("auto", 0.5, True)  # before JAX is imported
        print(json.dumps(_run(options)))
    except (UserError, OSError, ValueError) as error:
        return in_one_line(error)
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(prog="python -m ligo_cpc_snn.search.matched", description=__doc__)
    parser.add_argument("strain", type=Path, help="strain of two detectors, as MLGWSC-1's")
    parser.add_argument("events", type=Path, help="events file to write: time, stat, var")
    parser.add_argument(
        "--bank", type=Path, required=True, help="template bank; it is made if it is not there"
    )
    parser.add_argument("--detectors", nargs=2, default=("H1", "L1"), metavar="NAME")
    parser.add_argument(
        "--slides", type=int, default=0,
        help="time slides of each stretch: false-alarm rates in EVENTS as far_per_year; default 0",
    )  # fmt: skip
    # Without defaults, to tell what was asked for from what was not.
    new = parser.add_argument_group("a bank that is made, or what one that is there must be")
    new.add_argument("--masses", nargs=2, type=float, metavar="SOLAR_MASSES", help="default 10 50")
    new.add_argument("--spin", type=float, help="largest aligned spin; default 0")
    new.add_argument("--minimal-match", type=float, help="default 0.97")
    new.add_argument("--lowest-hz", type=float, help="default 20")
    new.add_argument("--seed", type=int, help="default 0")
    new.add_argument("--asd", type=Path, help="Hz and strain/sqrt(Hz); default: aLIGO's design")
    return parser


def _run(options: argparse.Namespace) -> dict[str, object]:
    from ligo_cpc_snn.search.matched.search import run_matched_filter
    from ligo_cpc_snn.search.matched.settings import MatchedFilterSettings

    if options.bank.exists():
        _check_bank(options)
    else:
        _make_bank(options)
    settings = MatchedFilterSettings(detectors=(options.detectors[0], options.detectors[1]))
    return run_matched_filter(
        options.strain, options.events, options.bank, settings, slides=options.slides
    )


def _check_bank(options: argparse.Namespace) -> None:
    """Refuse options that contradict the bank that is there."""
    from ligo_cpc_snn.search.matched.bank import load_bank
    from ligo_cpc_snn.strain.curves import read_asd

    bank = load_bank(options.bank)
    masses = options.masses or (None, None)
    asked = {
        "--masses": (masses[0], bank.ranges.mass_low),
        "--masses ": (masses[1], bank.ranges.mass_high),
        "--spin": (options.spin, bank.ranges.spin),
        "--minimal-match": (options.minimal_match, bank.ranges.minimal_match),
        "--lowest-hz": (options.lowest_hz, bank.lowest_hz),
        "--seed": (options.seed, bank.seed),
        "--asd": (None if options.asd is None else read_asd(options.asd).name, bank.psd),
    }
    for name, (wanted, there) in asked.items():
        if wanted is not None and wanted != there:
            raise UserError(
                f"{name.strip()} {wanted}: the bank {options.bank} has {there}, leave the option "
                "out or give another --bank"
            )


def _make_bank(options: argparse.Namespace) -> None:
    from ligo_cpc_snn.search.matched.bank import build_bank
    from ligo_cpc_snn.search.matched.placement import BankRanges
    from ligo_cpc_snn.strain.curves import aligo_curve, read_asd

    curve = aligo_curve() if options.asd is None else read_asd(options.asd)
    low, high = options.masses or (10.0, 50.0)
    match = 0.97 if options.minimal_match is None else options.minimal_match
    ranges = BankRanges(low, high, options.spin or 0.0, match)
    lowest = 20.0 if options.lowest_hz is None else options.lowest_hz
    build_bank(ranges, curve, lowest_hz=lowest, seed=options.seed or 0).save(options.bank)


if __name__ == "__main__":
    sys.exit(main())
