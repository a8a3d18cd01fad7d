#!/usr/bin/env bash
# As slurm.sh, but the job queues itself again after a preemption and at its time limit, until the run
# is finished: sbatch experiments/launch/slurm_requeue.sh configs/digits.py --config.save_every=1000
#SBATCH --job-name=tljax
#SBATCH --nodes=2
#SBATCH --ntasks-per-node=1
#SBATCH --gres=gpu:8
#SBATCH --time=12:00:00
# The processes are told two minutes before the end; this script is not, so that it can queue the job.
#SBATCH --signal=TERM@120
#SBATCH --requeue
#SBATCH --open-mode=append
set -euo pipefail
stopped=143 # exit status of a run that has saved and stopped after SIGTERM
most=100    # starts of a job
config=$1
shift
if [[ -n ${SLURM_GPUS_ON_NODE:-} ]]; then # otherwise JAX takes one GPU for each process of Slurm
    JAX_LOCAL_DEVICE_IDS=$(seq -s, 0 $((SLURM_GPUS_ON_NODE - 1)))
    export JAX_LOCAL_DEVICE_IDS
fi
status=0
srun python -m experiments.train --config="$config" --distributed=auto "$@" || status=$?
if ((status == stopped && ${SLURM_RESTART_COUNT:-0} < most)); then
    scontrol requeue "$SLURM_JOB_ID"
fi
exit "$status"
