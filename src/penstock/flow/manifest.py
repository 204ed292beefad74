"""The manifest of a destination of several files: which files belong to it, and what is in each. Pure.

It is written last and so marks the copy as complete; parts without a manifest are incomplete.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

__all__ = ["Manifest", "PartEntry"]

_VERSION = 1


@dataclass(frozen=True)
class PartEntry:
    """One part.

    Attributes:
        name: of the file, which is in the folder of the manifest.
        rows: in it.
        bytes: of it as stored, after compression.
        sha256: of these bytes, in hexadecimal.
    """

    name: str
    rows: int
    bytes: int
    sha256: str


@dataclass(frozen=True)
class Manifest:
    """All parts of one destination, in the order of their rows.

    Attributes:
        format: what the bytes of every part mean: ``"csv"``. Each part is complete in itself.
        compression: ``"gzip"``, ``"zstd"`` or None.
        columns: name and Arrow type of every column.
        parts: the files.
    """

    format: str
    compression: str | None
    columns: Sequence[tuple[str, str]]
    parts: Sequence[PartEntry]

    @property
    def rows(self) -> int:
        """Rows in all parts."""
        return sum(part.rows for part in self.parts)

    @property
    def bytes_stored(self) -> int:
        """Bytes of all parts as stored."""
        return sum(part.bytes for part in self.parts)

    def to_json(self) -> str:
        """Return the text of the file."""
        plain = {
            "penstock_manifest": _VERSION,
            "format": self.format,
            "compression": self.compression,
            "rows": self.rows,
            "bytes": self.bytes_stored,
            "columns": [{"name": name, "type": arrow_type} for name, arrow_type in self.columns],
            "parts": [asdict(part) for part in self.parts],
        }
        return json.dumps(plain, indent=2, ensure_ascii=False) + "\n"

    @classmethod
    def from_json(cls, text: str | bytes) -> Manifest:
        """Read the text of the file.

        Raises:
            ValueError: it is no manifest of ours.
        """
        plain = json.loads(text)
        if not isinstance(plain, dict) or plain.get("penstock_manifest") != _VERSION:
            raise ValueError(f"it is not a manifest of version {_VERSION}")
        try:
            return cls(
                format=plain["format"],
                compression=plain["compression"],
                columns=[(column["name"], column["type"]) for column in plain["columns"]],
                parts=[_entry(part) for part in plain["parts"]],
            )
        except (KeyError, TypeError) as exc:
            raise ValueError(f"it lacks what a manifest has: {exc}") from exc


def _entry(plain: Mapping[str, Any]) -> PartEntry:
    name = plain["name"]
    if not isinstance(name, str) or "/" in name or name in {"", ".", ".."}:
        raise ValueError(f"it names {name!r}, which is no file beside it")
    return PartEntry(name, plain["rows"], plain["bytes"], plain["sha256"])
