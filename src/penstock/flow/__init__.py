"""What to run: the protocols of sources, formats and sinks, and the immutable plan of a copy. Does nothing itself.

Connectors, formats and engines stand on this package and do not know each other.
"""
