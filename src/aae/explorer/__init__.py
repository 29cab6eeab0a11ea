"""A page to explore a model's code space: served locally, or as a folder for any web host."""
