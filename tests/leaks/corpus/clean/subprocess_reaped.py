"""Child processes that were waited for, one of them after it was told to end."""

import subprocess


def program() -> None:
    assert subprocess.run(["echo", "hello"], capture_output=True, check=True).stdout == b"hello\n"
    with subprocess.Popen(["cat"], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.communicate(b"text") == (b"text", None)
    with subprocess.Popen(["sleep", "60"]) as process:
        process.terminate()
