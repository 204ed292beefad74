"""Run ``partitions``: read several ranges of one source at once, each through its own stages into its own file."""
