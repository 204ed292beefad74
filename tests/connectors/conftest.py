"""What tests of connectors ask pytest for."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.connectors.mysql_parts import no_settings_from_outside, nobody_left


@pytest.fixture
def mysql_alone(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[None]:
    """Nothing from outside comes into a test, and no session outlives it by more than the server needs to notice."""
    no_settings_from_outside(monkeypatch, tmp_path)
    database = request.getfixturevalue("mariadb") if "mariadb" in request.fixturenames else None
    yield
    if database is not None:
        nobody_left(database)
