"""Ablations of an experiment in one table: `scripts/ablations.py +experiment=quickstart --dry-run`.

A run that finished is not run again, one that was stopped goes on; see --help.
"""

import sys

from ligo_cpc_snn.benchmarking.ablations import main

sys.exit(main())
