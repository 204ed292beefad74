"""What tests of connectors ask pytest for."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from penstock.connectors.sqlite import _page_reader
from penstock.connectors.sqlite._order import Stretch
from penstock.connectors.sqlite._rows import Rows
from tests.connectors.mysql_parts import no_settings_from_outside, nobody_left

if TYPE_CHECKING:
    import pyarrow as pa


@pytest.fixture
def mysql_alone(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[None]:
    """Nothing from outside comes into a test, and no session outlives it by more than the server needs to notice."""
    no_settings_from_outside(monkeypatch, tmp_path)
    database = request.getfixturevalue("mariadb") if "mariadb" in request.fixturenames else None
    yield
    if database is not None:
        nobody_left(database)


@pytest.fixture
def no_python_rows(monkeypatch: pytest.MonkeyPatch) -> None:
    """Fail where rows would be taken one by one."""

    def refuse(self: Rows) -> list[Any]:
        raise AssertionError("rows were taken one by one")

    monkeypatch.setattr(Rows, "take", refuse)


@pytest.fixture
def row_pages(monkeypatch: pytest.MonkeyPatch) -> list[Stretch]:
    """The pages that were read row by row."""
    seen: list[Stretch] = []
    really = _page_reader.PageReader._row_by_row

    def noting(self: _page_reader.PageReader, page: Stretch) -> Iterator[pa.RecordBatch]:
        seen.append(page)
        return really(self, page)

    monkeypatch.setattr(_page_reader.PageReader, "_row_by_row", noting)
    return seen
