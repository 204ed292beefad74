"""Record where threads and tasks are started and things are made, while a snapshot or ``trace_starts()`` is active."""
