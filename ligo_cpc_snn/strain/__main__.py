"""Fetch open data ahead of a run, and look after it: `python -m ligo_cpc_snn.strain --help`."""

import sys

from ligo_cpc_snn.runtime.environment import cache_folder
from ligo_cpc_snn.strain.command_line import run


def main(arguments: list[str] | None = None) -> int:
    """Run a command with the cache folder that training uses."""
    return run(sys.argv[1:] if arguments is None else arguments, cache_folder())


if __name__ == "__main__":
    sys.exit(main())
