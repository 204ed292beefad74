"""The rules of the house hold, and each of their checkers notices when one is broken."""

from __future__ import annotations

import ast
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]

# -I -S: no site-packages, no PYTHONPATH, no current folder; what imports here needs nothing but Python.
IMPORT_EVERY_MODULE = """
import importlib, pkgutil, sys
sys.path.insert(0, sys.argv[1])
import penstock
for module in pkgutil.walk_packages(penstock.__path__, "penstock."):
    if module.name not in ("penstock.__main__", "penstock.pytest_plugin"):
        importlib.import_module(module.name)
strangers = {name.partition(".")[0] for name in sys.modules} - set(sys.stdlib_module_names) - {"penstock", "__main__"}
sys.exit(", ".join(sorted(strangers)) or 0)
"""


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """A copy of the tree to plant faults in."""
    shutil.copytree(ROOT / "src", tmp_path / "src", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    return tmp_path


def lint_imports(root: Path) -> subprocess.CompletedProcess[str]:
    command = [Path(sys.executable).with_name("lint-imports"), "--no-cache", "--no-logo"]
    environment = {"PYTHONPATH": str(root / "src"), "COLUMNS": "200"}
    return subprocess.run(command, cwd=root, env=environment, capture_output=True, text=True, check=False)


def import_every_module(root: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-I", "-S", "-c", IMPORT_EVERY_MODULE, root / "src"]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def plant(file: Path, line: str) -> None:
    with file.open("a") as source:
        source.write(f"\n{line}\n")


def test_every_arrow_points_down() -> None:
    """import-linter finds every contract of pyproject.toml kept."""
    result = lint_imports(ROOT)
    assert result.returncode == 0, result.stdout + result.stderr


@pytest.mark.parametrize(
    ("file", "line", "complaint"),
    [
        (
            "core/cancel/__init__.py",
            "import penstock.flow.contracts",
            "penstock.core is not allowed to import penstock.flow",
        ),
        (
            "core/cancel/__init__.py",
            "import penstock.core._parking",
            "cancel is not allowed to import penstock.core._parking",
        ),
        ("errors.py", "import penstock", "penstock.errors is not allowed to import penstock"),
        ("stray.py", "", "penstock.stray"),
        ("core/stray.py", "", "penstock.core.stray"),
    ],
    ids=["between layers", "inside core", "the front door", "module without a layer", "core module without a layer"],
)
def test_import_linter_names_a_planted_fault(copy: Path, file: str, line: str, complaint: str) -> None:
    """A forbidden import, and a module nobody gave a layer, are each found and named."""
    plant(copy / "src" / "penstock" / file, line)
    result = lint_imports(copy)
    assert result.returncode == 1
    assert complaint in result.stdout


def test_every_module_imports_with_the_standard_library_alone() -> None:
    """No module of penstock imports an extra at module level; pytest_plugin may import pytest."""
    result = import_every_module(ROOT)
    assert result.returncode == 0, result.stderr


def test_planted_import_of_an_extra_is_found(copy: Path) -> None:
    """An extra imported at module level fails the check above, by name."""
    plant(copy / "src" / "penstock" / "core" / "cancel" / "__init__.py", "import pyarrow")
    result = import_every_module(copy)
    assert result.returncode == 1
    assert "No module named 'pyarrow'" in result.stderr


def silent_tests(folder: Path) -> Iterator[str]:
    for file in sorted(folder.rglob("test_*.py")):
        for node in ast.walk(ast.parse(file.read_text())):
            is_test = isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.name.startswith("test")
            if is_test and not ast.get_docstring(node):
                yield f"{file.relative_to(folder)}:{node.lineno} {node.name}"


def test_every_test_says_what_must_hold() -> None:
    """Every test has a docstring: the sentence that must hold."""
    assert list(silent_tests(ROOT / "tests")) == []


def test_a_test_without_a_sentence_is_found(tmp_path: Path) -> None:
    """A silent test is named with its file and line."""
    (tmp_path / "test_planted.py").write_text('def test_said():\n    """It holds."""\ndef test_silent():\n    pass\n')
    assert list(silent_tests(tmp_path)) == ["test_planted.py:3 test_silent"]
