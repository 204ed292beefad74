"""Further entry points: check a whole script (``penstock leaks``), and watch a running service (``watch()``)."""
