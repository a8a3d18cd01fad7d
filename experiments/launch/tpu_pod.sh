#!/usr/bin/env bash
# The same command on all hosts of a Cloud TPU pod, from your machine:
#     experiments/launch/tpu_pod.sh NAME ZONE configs/digits.py --workdir=/shared/runs/a
# Each host has this project in the folder tljax of its home, or in $TLJAX_FOLDER, installed with the
# extra tpu. The workdir lies on a file system that all hosts share, such as Filestore.
set -euo pipefail
if (($# < 3)); then
    echo "usage: $0 NAME ZONE CONFIG [FLAGS]" >&2
    exit 2
fi
name=$1 zone=$2 config=$3
shift 3
printf -v flags ' %q' --config="$config" --distributed=auto "$@"
gcloud compute tpus tpu-vm ssh "$name" --zone="$zone" --worker=all \
    --command="cd ${TLJAX_FOLDER:-tljax} && python3 -m experiments.train$flags"
