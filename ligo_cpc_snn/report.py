"""Write the page of a run, search, evaluation or profile anew, or a page that compares several.

`ligo-report FOLDER` writes FOLDER/report.html from the folder's saved files. `ligo-report FOLDER
FOLDER ...` writes one page with the settings that differ, the numbers aligned and the curves on
top of each other.
"""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from ligo_cpc_snn.config.command_line import Parser
from ligo_cpc_snn.errors import UserError, in_one_line
from ligo_cpc_snn.stopping import stoppable

COMPARISON = Path("comparison.html")


def main(arguments: Sequence[str] | None = None) -> int:
    """Entry point of `ligo-report`."""

    def write() -> int:
        options = _parser().parse_args(arguments)
        print(_write(options.folders, options.output))
        return 0

    try:
        return stoppable(write)
    except (UserError, OSError, ValueError, KeyError) as error:
        return in_one_line(error)


def _write(folders: list[Path], output: Path | None) -> Path:
    # Plotly and Matplotlib take a second to import; --help needs neither.
    from ligo_cpc_snn.reports.comparison_page import write_comparison
    from ligo_cpc_snn.reports.folders import ReportError, kind_of

    if len(folders) > 1:
        return write_comparison(folders, output or COMPARISON)
    if output is not None:
        raise ReportError(
            f"--output {output} is for comparing, with one folder the page is "
            f"{folders[0] / 'report.html'}: give several folders or leave --output out"
        )
    return kind_of(folders[0]).write(folders[0])


def _parser() -> argparse.ArgumentParser:
    parser = Parser(
        prog="ligo-report",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("folders", nargs="+", type=Path, metavar="FOLDER")
    parser.add_argument(
        "-o", "--output", type=Path, help=f"of a comparison; default ./{COMPARISON}"
    )
    return parser


if __name__ == "__main__":
    sys.exit(main())
