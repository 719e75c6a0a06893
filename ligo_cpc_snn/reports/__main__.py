"""Rebuild the report of a run: `python -m ligo_cpc_snn.reports RUN_DIR`."""

import argparse
import sys

from ligo_cpc_snn.reports.page import write_report


def main(arguments: list[str] | None = None) -> int:
    """Write the report of the run folder given and print its path."""
    parser = argparse.ArgumentParser(
        prog="python -m ligo_cpc_snn.reports",
        description="Rebuild report.html and figures/ of a run from its saved files.",
    )
    parser.add_argument("run_dir", help="folder of a finished or interrupted run")
    options = parser.parse_args(arguments)
    try:
        path = write_report(options.run_dir)
    except OSError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    print(path)
    return 0


if __name__ == "__main__":
    sys.exit(main())
