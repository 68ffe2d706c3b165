"""What a run rests on: devices, processes, optimisers, checkpoints, the experiment's folder, progress, signals."""
