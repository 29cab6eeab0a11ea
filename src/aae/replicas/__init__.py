"""Many trainings at once: seeds of one config, or other settings side by side."""
