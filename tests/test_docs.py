"""Documentation runs: every piece of Python on a page is a program that works as it stands."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PAGES = [ROOT / "README.md", ROOT / "ARCHITECTURE.md", *sorted((ROOT / "docs").glob("*.md"))]
BLOCK = re.compile(r"^```python\n(.*?)^```$", re.DOTALL | re.MULTILINE)
LINK = re.compile(r"\]\((?!https?:|#)([^)#]+)(?:#[^)]*)?\)")


def blocks() -> list[object]:
    """Every piece of Python on every page, named after the page and line it stands on."""
    found = []
    for page in PAGES:
        text = page.read_text()
        for match in BLOCK.finditer(text):
            line = text.count("\n", 0, match.start()) + 2
            found.append(pytest.param(match.group(1), id=f"{page.name}:{line}"))
    return found


@pytest.mark.parametrize("code", blocks())
def test_code_on_a_page_runs(code: str, tmp_path: Path) -> None:
    """It runs to its end, with warnings as errors and nothing on standard error."""
    program = tmp_path / "program.py"
    program.write_text(code)
    command = [sys.executable, "-W", "error", str(program)]
    run = subprocess.run(command, check=False, capture_output=True, text=True, timeout=60, cwd=tmp_path)
    assert run.returncode == 0, run.stderr
    assert run.stderr == ""


def test_there_are_pieces_of_code_to_run() -> None:
    """The pages have examples, and the pattern finds them."""
    assert len(blocks()) >= 10


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_between_pages_lead_somewhere(page: Path) -> None:
    """A link to a file of the repository names one that exists."""
    broken = [link for link in LINK.findall(page.read_text()) if not (page.parent / link).exists()]
    assert not broken
