"""Kernel tests, training step, share of peak and search on an H200 in one go; see --help.

python scripts/h200.py --json experiments/benchmarks/h200.json
"""

import sys

from ligo_cpc_snn.benchmarking.gpu_aims import main

sys.exit(main())
