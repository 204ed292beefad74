"""AnyIO keeps its worker threads for ten seconds, for the next call."""

import anyio.to_thread

REQUIRES = ("anyio",)


async def program() -> None:
    assert await anyio.to_thread.run_sync(abs, -1) == 1
