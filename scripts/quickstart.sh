#!/usr/bin/env bash
# From a fresh machine to a trained detector and its report. Extra arguments go to the run:
#   ./scripts/quickstart.sh seed=1 runtime.platform=cpu
# EXTRA=cuda13 (or cuda12, metal, mps) installs the support of a GPU as well.

source "$(dirname "${BASH_SOURCE[0]}")/environment.sh"

install_package ".${EXTRA:+[$EXTRA]}"

heading "training: +experiment=quickstart $*"
./scripts/launch.sh .venv/bin/python -m ligo_cpc_snn.train +experiment=quickstart "$@"

# The run folder is asked for, not guessed: name= and run_dir= may be among the arguments.
run_dir="$(.venv/bin/python -m ligo_cpc_snn.train --cfg job --resolve +experiment=quickstart "$@" |
    sed -n 's/^run_dir: //p')"
heading "done"
echo "report:  $run_dir/report.html"
echo "metrics: $run_dir/metrics.json"
