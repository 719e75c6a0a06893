#!/usr/bin/env bash
# A long search in parts, each a task of a job array, then all of them put together:
#
#   job=$(sbatch --parsable --array=1-16 scripts/slurm/search.sh --detector bbh_o3 /data/O3 --output o3)
#   sbatch --dependency=afterok:"$job" scripts/slurm/search.sh --detector bbh_o3 /data/O3 --output o3
#
# Without an array it searches what no part has searched, ranks and reports.
# A task that failed is given again with the number of all parts: PARTS=16 sbatch --array=3 ...
#SBATCH --job-name=ligo-search
#SBATCH --ntasks=1
#SBATCH --cpus-per-task=8
#SBATCH --time=12:00:00
#SBATCH --output=%x-%A-%a.log

set -euo pipefail

cd "${SLURM_SUBMIT_DIR:-$PWD}"
if [ -f .venv/bin/activate ]; then
    # shellcheck source=/dev/null
    source .venv/bin/activate
fi

part=()
if [ -n "${SLURM_ARRAY_TASK_ID:-}" ]; then
    part=("part=${SLURM_ARRAY_TASK_ID}/${PARTS:-${SLURM_ARRAY_TASK_MAX:?give --array=1-N}}")
fi
exec ligo-search "$@" "${part[@]}"
