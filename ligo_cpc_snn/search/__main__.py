"""Search strain for mergers: `python -m ligo_cpc_snn.search --help`."""

import sys

from ligo_cpc_snn.wiring.search_command import main

if __name__ == "__main__":
    sys.exit(main())
