"""The training engine: the step, its compilation, the training loop, scores, checkpoints, logs."""
