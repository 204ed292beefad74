"""File formats and compression: the registry of formats, which turn Arrow batches into bytes and back.

Each format is one module for both directions, imported when the format is first used. To add one, start from
:mod:`penstock.formats.ndjson`. Formats know neither connectors nor engines: this package itself implements
:class:`penstock.flow.contracts.Formats`, and callers pass it to sources of stored bytes.
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
    """Register a format under ``name``, for ``--format`` and for file names with one of ``suffixes``.

    Args:
        name: the name in lower case, such as ``"csv"``. An earlier format of that name is replaced.
        module: the name of a module, which is imported when the format is first used.
        factory: the name of what in that module returns the :class:`~penstock.flow.contracts.Format`. It is called
            without arguments, or with options by name; its annotations say which there are, see
            :mod:`penstock.formats._options`.
        suffixes: file name suffixes with their dot, such as ``".csv"``.
    """
    _FORMATS[name] = _Entry(module, factory, tuple(suffixes))


def format_names() -> tuple[str, ...]:
    """Return the names that :func:`format_by_name` knows."""
    return tuple(_FORMATS)


def format_by_name(name: str, options: Mapping[str, object] = _NO_OPTIONS, /) -> Format:
    """Return the format called ``name``.

    Args:
        name: one of ``format_names()``.
        options: options by name, such as ``{"delimiter": ";"}`` for CSV, as text or as Python values; see
            docs/formats.md. Others keep their defaults.

    Raises:
        ConfigurationError: there is no such format, it has no such option, or the option does not take that value.
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
    """Return the format and the compression that the suffixes of a path or URI name; None for each that is unknown.

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
    """Return the path in an address; anything else is returned as it is. Invalid addresses are refused elsewhere."""
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
