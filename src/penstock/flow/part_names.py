"""The names of the parts of a split destination, and of its manifest. Pure.

``orders.csv.gz`` becomes ``orders.00001.csv.gz``, ``orders.00002.csv.gz``, ... and ``orders.manifest.json``, all beside
each other.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from itertools import count

__all__ = ["PartNames"]

_DIGITS = 5  # more than 99,999 parts get longer numbers


@dataclass(frozen=True)
class PartNames:
    """The addresses of the parts of one destination.

    Attributes:
        folder: what stands before the name, with its last slash; ``""`` for a bare name.
        stem: the name without its suffixes: ``"orders"``.
        suffix: those suffixes: ``".csv.gz"``.
        query: what stands behind the name in an address, with its ``?``.
    """

    folder: str
    stem: str
    suffix: str
    query: str = ""

    @classmethod
    def of(cls, address: str, *, suffixes: int) -> PartNames:
        """Take the address of the whole apart.

        Args:
            address: a path or URI.
            suffixes: how many suffixes its name has that tell format and compression.
        """
        path, mark, query = address.partition("?") if "://" in address else (address, "", "")
        folder, slash, name = path.rpartition("/")
        stem = name
        for _ in range(suffixes):
            stem = stem.rpartition(".")[0]
        return cls(folder + slash, stem, name[len(stem) :], mark + query)

    @property
    def manifest(self) -> str:
        """The address of the manifest."""
        return self.address(f"{self.stem}.manifest.json")

    def name(self, number: int) -> str:
        """Return what part ``number`` is called, without its folder."""
        return f"{self.stem}.{number:0{_DIGITS}}{self.suffix}"

    def names(self, *, taken: Collection[str] = ()) -> Iterator[str]:
        """Yield the names of the parts, in order, without those that are ``taken``."""
        return (name for name in map(self.name, count(1)) if name not in taken)

    def address(self, name: str) -> str:
        """Return the address of what is called ``name`` in the same folder."""
        return f"{self.folder}{name}{self.query}"
