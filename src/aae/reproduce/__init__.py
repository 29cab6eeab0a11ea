"""The paper's experiments: what each is, what it measures, and its table."""
