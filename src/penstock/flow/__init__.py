"""What to run: the contracts between sources, formats and sinks, and the immutable plan."""
