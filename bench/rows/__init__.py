"""Every row of the benchmark, in the order of the table."""

from bench.registry import Row
from bench.rows import cancel, channels, leaks, leaks_plugin, pipes, pools, startup, tasks, thread_to_asyncio

ROWS: tuple[Row, ...] = (
    *pipes.ROWS,
    *channels.ROWS,
    *thread_to_asyncio.ROWS,
    *tasks.ROWS,
    *pools.ROWS,
    *cancel.ROWS,
    *startup.ROWS,
    *leaks.ROWS,
    *leaks_plugin.ROWS,
)
