"""How a detector is trained: accumulation, step, loop, checkpoints, trackers."""
