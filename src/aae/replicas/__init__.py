"""Many trainings at once: seeds of one config, or different settings side by side."""
