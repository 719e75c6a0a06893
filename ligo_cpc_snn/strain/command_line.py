"""The commands `fetch`, `list`, `verify` and `clean` of the strain cache."""

import argparse
import logging
import re
from collections.abc import Sequence
from pathlib import Path
from typing import NoReturn

from rich.console import Console
from rich.logging import RichHandler

from ligo_cpc_snn.config.data_checks import DETECTORS
from ligo_cpc_snn.config.data_schema import GwoscConfig
from ligo_cpc_snn.errors import UserError, in_one_line
from ligo_cpc_snn.stopping import stoppable
from ligo_cpc_snn.strain.housekeeping import clean, fetch, list_cache, verify

ACKNOWLEDGEMENT = (
    "Data come from GWOSC (gwosc.org, CC BY 4.0), a service of the LIGO Scientific Collaboration, "
    "the Virgo Collaboration, and KAGRA; acknowledge it in what you publish."
)
DEFAULTS = GwoscConfig()
STOPPED = "stopped: what has arrived is kept, the same command continues"
# Messages name a setting of a run; these options are called otherwise here.
OPTIONS = {"events": "event", "event_seconds": "seconds", "cache_gb": "limit-gb"}


class _Parser(argparse.ArgumentParser):
    """An argument parser whose errors are ours: one line, exit code 1."""

    def error(self, message: str) -> NoReturn:
        raise UserError(f"{message}; {self.prog} --help lists what there is")


def run(arguments: Sequence[str], cache_dir: Path) -> int:
    """Run a command.

    Args:
        arguments: Of the command line.
        cache_dir: Where the cache is unless --cache says otherwise.

    Returns:
        The exit code: 0; 1 after an error, or when `verify` found a broken file; 130 after an
        interrupt.
    """
    logging.basicConfig(
        level=logging.WARNING, format="%(levelname)-7s %(message)s", handlers=[_handler()]
    )
    logging.getLogger("ligo_cpc_snn").setLevel(logging.INFO)
    try:
        options = _parser(cache_dir).parse_args(arguments)
        return stoppable(lambda: int(options.command(options)), STOPPED)
    except (UserError, OSError, ValueError) as error:
        return in_one_line(error, _naming_options(str(error)))


def _naming_options(message: str) -> str:
    """Write a message's settings, as data.gwosc.start, as options of the command line."""
    message = message.replace("data.gwosc.offline=true", "--offline")
    return re.sub(
        r"\bdata\.(?:gwosc\.|(?=detectors\b))(\w+)",
        lambda found: f"--{OPTIONS.get(found[1], found[1])}",
        message,
    )


def _handler() -> logging.Handler:
    """Return a handler for standard error, whose lines appear above a progress bar."""
    console = Console(stderr=True)
    if console.is_terminal:
        return RichHandler(console=console, show_path=False, show_time=False, show_level=False)
    return logging.StreamHandler()


def _parser(cache_dir: Path) -> _Parser:
    parser = _Parser(
        prog="python -m ligo_cpc_snn.strain",
        description="Fetch open strain from GWOSC and look after the cache it is kept in.",
        epilog=ACKNOWLEDGEMENT,
    )
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    place = _Parser(add_help=False)
    place.add_argument("--cache", type=Path, default=cache_dir, help="folder (%(default)s)")
    _add_fetch(commands.add_parser("fetch", parents=[place], help="fetch strain into the cache"))
    for name, command, words in (
        ("list", list_cache, "list what the cache holds"),
        ("verify", verify, "check each file against its SHA-256; exit code 1 if one is broken"),
    ):
        own = commands.add_parser(name, parents=[place], help=words, description=words)
        own.set_defaults(command=lambda options, command=command: command(options.cache))
    _add_clean(commands.add_parser("clean", parents=[place], help="delete from the cache"))
    return parser


def _add_fetch(parser: argparse.ArgumentParser) -> None:
    parser.description = (
        "Fetch the usable strain of a span of time, or around events, into the cache. What the "
        "cache has is not fetched again; an interrupted download is continued."
    )
    add = parser.add_argument
    add("--detectors", default="H1,L1", help="separated by commas (%(default)s)")
    add("--run", help="observing run that the span is in, as O3a")
    add("--start", type=int, help="GPS time in s")
    add("--end", type=int, help="GPS time in s")
    add("--hours", type=float, help="from --start, in place of --end")
    add("--event", action="append", default=[], help="name, as GW150914; may be repeated")
    add("--seconds", type=float, help=f"per event ({DEFAULTS.event_seconds:g})")
    add("--host", default=DEFAULTS.host, help="server (%(default)s)")
    add("--offline", action="store_true", help="only say whether the cache holds it all")
    add("--parallel", type=int, default=DEFAULTS.parallel, help="downloads at a time (%(default)s)")
    add("--retries", type=int, default=DEFAULTS.retries, help="of each download (%(default)s)")
    add("--limit-gb", type=float, default=DEFAULTS.cache_gb, help="of the cache (%(default)s)")
    parser.set_defaults(command=_fetch)


def _fetch(options: argparse.Namespace) -> int:
    detectors = _detectors(options.detectors)
    _check_used(options)
    cfg = GwoscConfig(
        host=options.host,
        events=options.event,
        event_seconds=DEFAULTS.event_seconds if options.seconds is None else options.seconds,
        run=options.run,
        start=options.start,
        end=options.end,
        hours=options.hours,
        offline=options.offline,
        parallel=options.parallel,
        retries=options.retries,
        cache_gb=options.limit_gb,
    )
    if cfg.span is not None and cfg.span[0] >= cfg.span[1]:
        raise UserError(f"--start={cfg.start}: expected less than --end={cfg.end}")
    return fetch(cfg, detectors, options.cache)


def _detectors(text: str) -> list[str]:
    names = [name.strip() for name in text.split(",")]
    if unknown := [name for name in names if name not in DETECTORS]:
        raise UserError(
            f"--detectors={text}: {unknown[0]!r} is not known, expected some of "
            f"{','.join(DETECTORS)}, separated by commas"
        )
    return list(dict.fromkeys(names))


def _check_used(options: argparse.Namespace) -> None:
    """Refuse what would be ignored."""
    start, end, hours = options.start, options.end, options.hours
    if end is not None and hours is not None:
        raise UserError(f"--end={end} and --hours={hours}: expected one of them")
    for name in ("end", "hours"):
        if start is None and (value := getattr(options, name)) is not None:
            raise UserError(f"--{name}={value}: expected --start with it, in GPS s")
    if start is not None and end is None and hours is None:
        raise UserError(f"--start={start}: expected --end or --hours with it")
    if options.seconds is not None and not options.event:
        raise UserError(f"--seconds={options.seconds:g}: expected --event with it")
    if start is None and options.run is not None and options.event:
        raise UserError(f"--run={options.run}: expected --start with it, an event needs no run")
    if start is None and options.run is None and not options.event:
        raise UserError("nothing to fetch: expected --event, or --start with --end or --hours")


def _add_clean(parser: argparse.ArgumentParser) -> None:
    parser.description = (
        "Delete broken files and unfinished downloads, and what the options name. Asks nothing, "
        "says what it deleted; what a running process needs is passed over."
    )
    what = parser.add_mutually_exclusive_group()
    what.add_argument("--all", action="store_true", help="everything")
    what.add_argument("--older-than", type=float, metavar="DAYS", help="not used for so long")
    what.add_argument("--to-gb", type=float, metavar="GB", help="least recently used first")
    parser.set_defaults(
        command=lambda o: clean(o.cache, everything=o.all, older_than=o.older_than, to_gb=o.to_gb)
    )
