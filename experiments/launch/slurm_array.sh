#!/usr/bin/env bash
# A member of a sweep for each job of an array, here of the first 12 members, four at a time:
#     sbatch --array=0-11%4 experiments/launch/slurm_array.sh configs/finetune.py --workdir=runs/rates
# Members that are finished end at once. The table, when all are:
#     python -m experiments.sweep --config=configs/finetune.py --workdir=runs/rates
#SBATCH --job-name=tljax
#SBATCH --nodes=1
#SBATCH --ntasks=1
#SBATCH --gres=gpu:1
#SBATCH --time=12:00:00
# Warn two minutes before the end: the run saves, stops, and goes on where it was when the same job is sent again.
#SBATCH --signal=TERM@120
#SBATCH --requeue
#SBATCH --open-mode=append
set -euo pipefail
config=$1
shift
commands=$(python -m experiments.sweep --config="$config" --print "$@")
mapfile -t members <<<"$commands"
member=${members[SLURM_ARRAY_TASK_ID]:-}
if [[ -z $member ]]; then
    echo "error: the sweep has ${#members[@]} members: sbatch --array=0-$((${#members[@]} - 1))" >&2
    exit 2
fi
eval "srun $member" # the member is quoted for the shell
