"""Read objects, sequentially or with random access, and list those that match a pattern."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Any, BinaryIO, cast, final

from penstock._extras import need
from penstock.connectors._loop_thread import LoopThread
from penstock.connectors._ranged import RangedReader
from penstock.connectors.objects._address import ObjectAddress
from penstock.connectors.objects._errors import translating
from penstock.connectors.objects._key_patterns import fixed_prefix, matcher_of
from penstock.errors import SourceError

if TYPE_CHECKING:
    from penstock.flow.contracts import ByteReader

__all__ = ["ObjectReading"]

_PIECE_BYTES = 1 << 20
_PAGE_ITEMS = 1000


@final
@dataclass(frozen=True)
class ObjectReading:
    """How to read objects of one bucket.

    Attributes:
        address: of an object, or a pattern.
        open_store: makes obstore's store; ``True`` for one that is patient with failures.
    """

    address: ObjectAddress
    open_store: Callable[[ObjectAddress, bool], Any]

    # --- many -----------------------------------------------------------------------------------------------------

    def names(self) -> Sequence[str]:
        """Return the addresses of the objects that match the pattern, sorted; if an object has that very name, only it.

        Blocks while the store lists the objects with the pattern's prefix; a cancel interrupts it.

        Raises:
            SourceError: the bucket does not exist, or may not be listed.
        """
        address = self.address
        matches = matcher_of(address.key)
        found = []
        with LoopThread("penstock objects") as loop:
            with translating(address.where, SourceError):
                store = self.open_store(address, False)
                prefix = fixed_prefix(address.key)
                pages = _obstore().list(store, prefix or None, chunk_size=_PAGE_ITEMS).__aiter__()
            while page := self._page(loop, pages):
                keys = [entry["path"] for entry in page]
                if address.key in keys:
                    return [address.where]
                found += [key for key in keys if matches(key)]
        return [self._shown(key) for key in sorted(found)]

    def _page(self, loop: LoopThread, pages: Any) -> Any:
        with translating(self.address.where, SourceError):
            return loop.call(lambda: anext(pages, None))

    def _shown(self, key: str) -> str:
        return f"{self._root}{key}"

    @property
    def _root(self) -> str:
        return self.address.where.removesuffix(self.address.key)

    # --- one ------------------------------------------------------------------------------------------------------

    def opener_for(self, name: str) -> Callable[[bool], Any]:
        """Return a function that opens the object at such an address; its argument asks for random access."""
        return partial(self._opened, replace(self.address, key=name.removeprefix(self._root), where=name))

    @contextmanager
    def _opened(self, address: ObjectAddress, seekable: bool) -> Iterator[ByteReader]:
        with LoopThread("penstock objects") as loop:
            with translating(address.where, SourceError):
                quick, store = self.open_store(address, False), self.open_store(address, True)
                about = loop.call(lambda: _obstore().head_async(quick, address.key))
            if seekable:
                fetch = partial(_fetched, loop, store, address, about["e_tag"])
                yield cast(BinaryIO, RangedReader(fetch, about["size"], where=address.where))
            else:
                with translating(address.where, SourceError):
                    got = loop.call(lambda: _obstore().get_async(store, address.key))
                    chunks = got.stream(min_chunk_size=_PIECE_BYTES).__aiter__()
                yield cast(BinaryIO, _Sequential(loop, chunks, got.meta["size"], address.where))


def _fetched(loop: LoopThread, store: Any, address: ObjectAddress, etag: str | None, start: int, end: int) -> bytes:
    """Get a range of the object, and fail if it is no longer the one that was opened."""
    options: dict[str, Any] = {"range": (start, end)}
    if etag is not None:
        options["if_match"] = etag

    async def got() -> bytes:
        result = await _obstore().get_async(store, address.key, options=options)
        return bytes(await result.bytes_async())

    try:
        with translating(address.where, SourceError):
            return loop.call(got)
    except SourceError as exc:
        if isinstance(exc.__cause__, _obstore().exceptions.PreconditionError):
            hint = "run it again"
            raise SourceError("the object was replaced while it was read", where=address.where, hint=hint) from exc
        raise


def _obstore() -> Any:
    return need("obstore", extra="s3", why="reach an object store")


class _Sequential:
    """A reader of the chunks of an object, which ends only after all of its bytes.

    Attributes:
        size_bytes: how many there are.
    """

    def __init__(self, loop: LoopThread, chunks: Any, size_bytes: int, where: str) -> None:
        self.size_bytes = size_bytes
        self._loop = loop
        self._chunks = chunks
        self._missing_bytes = size_bytes
        self._where = where
        self._rest = memoryview(b"")

    def read(self, size: int = -1, /) -> bytes:
        parts = []
        while size:
            if not self._rest and not self._fill():
                break
            part = self._rest if size < 0 else self._rest[:size]
            self._rest = self._rest[len(part) :]
            size -= len(part) if size > 0 else 0
            parts.append(part)
        return b"".join(parts)

    def _fill(self) -> bool:
        with translating(self._where, SourceError):
            chunk = self._loop.call(lambda: anext(self._chunks, None))
        if chunk is None and self._missing_bytes:
            raise SourceError(f"the object stops {self._missing_bytes} bytes before its end", where=self._where)
        self._rest = memoryview(b"" if chunk is None else bytes(chunk))
        self._missing_bytes -= len(self._rest)
        return chunk is not None
