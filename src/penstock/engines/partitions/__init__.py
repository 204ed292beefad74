"""Several ranges of one source at once: a chain of stages for each, one snapshot, one destination of as many parts."""
