"""What the bytes mean: a registry of formats, and compression.

Each format is one module with both directions in it; :mod:`penstock.formats.ndjson` is the one to copy. Modules are
imported when their format is first asked for. This package satisfies :class:`penstock.flow.contracts.Formats`, so a
caller lends it to sources of stored bytes as it is.
"""

from __future__ import annotations

import importlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from penstock.errors import ConfigurationError
from penstock.flow.suggest import did_you_mean
from penstock.formats._options import OptionError, converted
from penstock.formats.compression import compress, compression_names, decompressing, split_compression

if TYPE_CHECKING:
    from penstock.flow.contracts import Format

__all__ = [
    "compress",
    "compression_names",
    "decompressing",
    "format_by_name",
    "format_names",
    "infer",
    "register_format",
    "split_compression",
]


@dataclass(frozen=True)
class _Entry:
    module: str
    factory: str
    suffixes: tuple[str, ...]


_FORMATS: dict[str, _Entry] = {}
_NO_OPTIONS: Mapping[str, object] = {}
_COMPRESSION_SUFFIXES = {".gz": "gzip", ".gzip": "gzip", ".zst": "zstd", ".zstd": "zstd"}


def register_format(name: str, module: str, factory: str, suffixes: Iterable[str] = ()) -> None:
    """Make a format known under ``name``, for ``--format`` and for file names with one of ``suffixes``.

    Args:
        name: lower case, such as ``"csv"``. An earlier format of that name is replaced.
        module: imported when the format is first asked for.
        factory: called without arguments, or with options by name, returns the
            :class:`~penstock.flow.contracts.Format`. Its annotations say what the options are: see
            :mod:`penstock.formats._options`.
        suffixes: with their dot, such as ``".csv"``.
    """
    _FORMATS[name] = _Entry(module, factory, tuple(suffixes))


def format_names() -> tuple[str, ...]:
    """Return the names :func:`format_by_name` knows."""
    return tuple(_FORMATS)


def format_by_name(name: str, options: Mapping[str, object] = _NO_OPTIONS, /) -> Format:
    """Return the format called ``name``.

    Args:
        name: as in ``format_names()``.
        options: by name, such as ``{"delimiter": ";"}`` for CSV, as text or as what they are; see docs/formats.md.
            The rest is as by default.

    Raises:
        ConfigurationError: there is none, or it has no such option, or that does not take the value.
    """
    entry = _FORMATS.get(name)
    if entry is None:
        hint = did_you_mean(name, _FORMATS, otherwise=f"known are {', '.join(_FORMATS)}")
        raise ConfigurationError(f"unknown format {name!r}: {hint}")
    factory = getattr(importlib.import_module(entry.module), entry.factory)
    try:
        made: Format = factory(**converted(name, factory, options))
    except OptionError as exc:
        raise ConfigurationError(f"the format {name!r} can not have {exc}") from exc
    return made


def infer(path: str) -> tuple[str | None, str | None]:
    """Return the names of format and compression that the suffixes of a path or URI tell, None for what they do not.

    >>> infer("s3://bucket/events.csv.gz")
    ('csv', 'gzip')
    """
    name = _name_in(path).lower()
    compression = next((found for suffix, found in _COMPRESSION_SUFFIXES.items() if name.endswith(suffix)), None)
    if compression is not None:
        name = name.rpartition(".")[0]
    found_format = next((known for known, entry in _FORMATS.items() if name.endswith(entry.suffixes)), None)
    return found_format, compression


def _name_in(path: str) -> str:
    """Return the path of an address, and of anything else itself. What is wrong with an address is for others to say."""
    try:
        return urlsplit(path).path if "://" in path else path
    except ValueError:
        return ""


register_format("csv", "penstock.formats.csv", "Csv", [".csv"])
register_format("tsv", "penstock.formats.csv", "Tsv", [".tsv", ".tab"])
register_format("ndjson", "penstock.formats.ndjson", "Ndjson", [".ndjson", ".jsonl"])
register_format("jsonl", "penstock.formats.ndjson", "Ndjson")  # what others call it
register_format("json", "penstock.formats.json", "Json", [".json"])
register_format("parquet", "penstock.formats.parquet", "Parquet", [".parquet", ".pq"])
register_format("arrow", "penstock.formats.arrow", "ArrowFile", [".arrow", ".feather", ".ipc"])
register_format("arrows", "penstock.formats.arrow", "ArrowStream", [".arrows"])
