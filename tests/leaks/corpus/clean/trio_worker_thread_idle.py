"""trio keeps its worker threads for ten seconds, for the next call."""

import trio

LOOP = "trio"
REQUIRES = ("trio",)


async def program() -> None:
    assert await trio.to_thread.run_sync(abs, -1) == 1
