"""Training: the update by a batch (step), the loop (trainer), all state on disk (checkpoint)."""
