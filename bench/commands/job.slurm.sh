#!/bin/bash
# Runs the sweep '@SWEEP@' in @SHARDS@ shards, each on a node of its own. Submit it with sbatch
# from the folder of this repository, which all nodes see; for a GPU, sbatch --gres=gpu:1.
# When the array is complete:
#   @REPORT@
#SBATCH --job-name=feedrate-@NAME@
#SBATCH --array=1-@SHARDS@
#SBATCH --nodes=1
#SBATCH --ntasks=1
#SBATCH --exclusive
#SBATCH --requeue
#SBATCH --output=feedrate-@NAME@-%A-%a.log
set -eu
cd "${SLURM_SUBMIT_DIR:-.}"
out=@OUT@/shard-$SLURM_ARRAY_TASK_ID-of-@SHARDS@
if [ -e "$out/plan.json" ]; then # a task that starts again resumes its shard
  @PROGRAM@ run --resume "$out"
else
  @COMMAND@ --shard "$SLURM_ARRAY_TASK_ID/@SHARDS@" --out "$out"
fi
