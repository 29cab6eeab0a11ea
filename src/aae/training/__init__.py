"""Training: what a batch does (step), the loop (trainer), and all state on disk (checkpoint)."""
