"""A child process is started through asyncio, read and awaited."""

import asyncio


async def program() -> None:
    process = await asyncio.create_subprocess_exec("echo", "hello", stdout=asyncio.subprocess.PIPE)
    output, _ = await process.communicate()
    assert output == b"hello\n"
