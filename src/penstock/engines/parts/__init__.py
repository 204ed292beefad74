"""Several files instead of one: where to cut, how the parts pass from stage to stage, and how they are published."""
