"""A page to walk through a model's code space: on this machine, or a folder for any web host."""
