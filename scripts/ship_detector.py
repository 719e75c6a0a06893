"""Make a run's detector one that ships: `scripts/ship_detector.py RUN_DIR NAME`; see --help."""

import sys

from ligo_cpc_snn.wiring.ship import main

sys.exit(main())
