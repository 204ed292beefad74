"""docs/types.md is what the code says."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
SCRIPT = ROOT / "scripts" / "write-types"


def test_the_page_is_what_the_code_says() -> None:
    """After a change of a table or a format, scripts/write-types has been run."""
    done = subprocess.run([sys.executable, SCRIPT, "--check"], capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"run scripts/write-types:\n{done.stdout}{done.stderr}"


def test_a_difference_is_found(tmp_path: Path) -> None:
    """The check above notices a page that says something else."""
    (tmp_path / "scripts").mkdir()
    (tmp_path / "docs").mkdir()
    (tmp_path / "scripts" / "write-types").write_text(SCRIPT.read_text())
    page = (ROOT / "docs" / "types.md").read_text()
    (tmp_path / "docs" / "types.md").write_text(page.replace("base64", "base65", 1))
    command = [sys.executable, tmp_path / "scripts" / "write-types", "--check"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "base65" in done.stderr
