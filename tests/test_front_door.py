"""The names of ``penstock`` itself: all there, lazy, and with their types."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import penstock

SOURCE = Path(penstock.__file__)

USER_CODE = """
import penstock

with penstock.pipe() as (reader, writer):
    count: int = writer.write(b"x")
    data: bytes = reader.read1()

with penstock.TaskGroup() as group:
    answer: int = group.start_soon(len, "abc").result()

with penstock.WorkerPool(2) as pool:
    power: float = pool.submit(float, "2").result()
    lengths: list[int] = list(pool.map(len, ["a", "b"]))

with penstock.writing_to(lambda reader: len(reader.read())) as handle:
    handle.writer.write(b"x")
size: int = handle.result()

scope: penstock.CancelScope = penstock.move_on_after(1)
report: penstock.Report = penstock.copy("a.csv", "b.csv")
flow: penstock.Flow = penstock.read("a.csv").filter(lambda row: row["a"]).map(lambda row: {"b": row["a"]}, workers=2)
written: penstock.Report = flow.batched(10).write("b.parquet")
"""


def test_every_name_leads_to_something() -> None:
    """Each name in ``__all__`` can be looked up, and is the object its module defines."""
    missing = [name for name in penstock.__all__ if not hasattr(penstock, name)]
    assert not missing


def test_type_checkers_see_the_same_names() -> None:
    """What is imported for type checkers is what is looked up at run time, name by name and module by module."""
    imported: dict[str, str] = {}
    for node in ast.walk(ast.parse(SOURCE.read_text())):
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("penstock."):
            imported.update({alias.name: (node.module or "").removeprefix("penstock.") for alias in node.names})
    assert imported == penstock._HOME


def test_user_code_has_its_types(tmp_path: Path) -> None:
    """A program that uses the public names passes mypy --strict, and one that misuses them does not."""
    for code, passes in ((USER_CODE, True), (USER_CODE.replace("count: int", "count: str"), False)):
        # Not twice the same name: mypy's cache tells files apart by size and second.
        program = tmp_path / f"program_{passes}.py"
        program.write_text(code)
        command = [sys.executable, "-m", "mypy", "--strict", str(program)]
        run = subprocess.run(command, check=False, capture_output=True, text=True, cwd=SOURCE.parents[2], timeout=100)
        assert (run.returncode == 0) is passes, run.stdout + run.stderr
