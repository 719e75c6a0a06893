#!/usr/bin/env bash
# One training on several hosts, one process for each GPU:
#
#   sbatch --nodes=2 --gpus-per-node=4 --ntasks-per-node=4 scripts/slurm/train.sh +experiment=bbh_o3
#
# Arguments go to ligo-train. The run folder, and LIGO_CACHE_DIR, must be on a file system that
# all hosts see. SLURM sends SIGTERM before the time is over: the run saves its state, and
# the job is queued again until the run is finished. When one process dies, all end.
#SBATCH --job-name=ligo-train
#SBATCH --nodes=2
#SBATCH --ntasks-per-node=4
#SBATCH --gpus-per-node=4
#SBATCH --cpus-per-task=8
#SBATCH --time=12:00:00
#SBATCH --signal=TERM@180
#SBATCH --requeue
#SBATCH --open-mode=append
#SBATCH --output=%x-%j.log

set -uo pipefail

# Under sbatch this file is a copy elsewhere: the checkout is where the job was submitted.
cd "${SLURM_SUBMIT_DIR:-$PWD}" || exit 1
if [ -f .venv/bin/activate ]; then
    # shellcheck source=/dev/null
    source .venv/bin/activate
fi
if ! command -v ligo-train >/dev/null; then
    echo "error: no ligo-train in $PWD/.venv or PATH: submit from the checkout, or activate its environment first" >&2
    exit 1
fi

# glibc reads these when a process starts: the numbers of scripts/launch.sh.
export MALLOC_MMAP_THRESHOLD_="${MALLOC_MMAP_THRESHOLD_:-1073741824}"
export MALLOC_TRIM_THRESHOLD_="${MALLOC_TRIM_THRESHOLD_:-2147483647}"
export MALLOC_TOP_PAD_="${MALLOC_TOP_PAD_:-67108864}"
# Compiled programs are made by the first process of a host and read by the others.
export LIGO_CACHE_DIR="${LIGO_CACHE_DIR:-$PWD/.cache}"

echo "$(date '+%F %T') job ${SLURM_JOB_ID:-none}: ${SLURM_NTASKS:-1} processes on ${SLURM_JOB_NODELIST:-this host}"

# JAX finds host, number and index of every process in SLURM's variables (jax.distributed).
# --kill-on-bad-exit: a process that dies takes the others along; the run resumes.
srun --kill-on-bad-exit=1 --label ligo-train "$@"
code=$?

# 130: asked to stop, its state is saved.
if [ "$code" -eq 130 ] && [ -n "${SLURM_JOB_ID:-}" ]; then
    echo "$(date '+%F %T') stopped with its state saved: queued again"
    scontrol requeue "$SLURM_JOB_ID"
fi
exit "$code"
