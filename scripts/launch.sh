#!/usr/bin/env bash
# Run a command with glibc's allocator told to keep pages, which on a CPU are the cost of a step:
#   ./scripts/launch.sh ligo-train +experiment=quickstart
#   ./scripts/launch.sh python -m ligo_cpc_snn.search --detector bbh_o3 --event GW150914
#
# Every command of this package does the same for itself once it runs (runtime/allocator.py). The
# variables are read before the process begins: they also cover the libraries loaded before, other
# programs (a peer in a benchmark, a notebook's kernel), and every child process. A variable that
# is set already wins. On systems without glibc (macOS, musl) they do nothing.

set -euo pipefail

if [ "$#" -eq 0 ]; then
    echo "usage: $0 COMMAND [ARGUMENT ...], such as: $0 ligo-train +experiment=quickstart" >&2
    exit 2
fi

# Bytes; the same numbers as runtime/allocator.py's. No block is mapped by itself up to 1 GiB, ...
export MALLOC_MMAP_THRESHOLD_="${MALLOC_MMAP_THRESHOLD_:-1073741824}"
# ... free memory at the top is not given back below 2 GiB, ...
export MALLOC_TRIM_THRESHOLD_="${MALLOC_TRIM_THRESHOLD_:-2147483647}"
# ... and the heap grows 64 MiB at a time.
export MALLOC_TOP_PAD_="${MALLOC_TOP_PAD_:-67108864}"

exec "$@"
