#!/usr/bin/env bash
# One process per node, all of its GPUs visible to it: sbatch experiments/launch/slurm.sh configs/digits.py --config.batch=256
#SBATCH --job-name=tljax
#SBATCH --nodes=2
#SBATCH --ntasks-per-node=1
#SBATCH --gres=gpu:8
#SBATCH --time=12:00:00
# Warn two minutes before the end: the run saves, stops, and goes on where it was when the same job is sent again.
#SBATCH --signal=TERM@120
#SBATCH --requeue
set -euo pipefail
config=$1
shift
if [[ -n ${SLURM_GPUS_ON_NODE:-} ]]; then # otherwise JAX takes one GPU for each process of Slurm
    JAX_LOCAL_DEVICE_IDS=$(seq -s, 0 $((SLURM_GPUS_ON_NODE - 1)))
    export JAX_LOCAL_DEVICE_IDS
fi
srun python -m experiments.train --config="$config" --distributed=auto "$@"
