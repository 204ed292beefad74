"""A child made with ``os.fork`` is waited for by its number."""

import os


def program() -> None:
    child = os.fork()
    if child == 0:
        os._exit(7)
    _, status = os.waitpid(child, 0)
    assert os.waitstatus_to_exitcode(status) == 7
