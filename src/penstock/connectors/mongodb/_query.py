"""Turn a request into the find or aggregation to run: parse queries, filters and pipelines in JSON. Sends nothing.

    -t orders --where '{"total": {"$gt": 100}}' --columns _id,total --limit 10
    -q '{"collection": "orders", "filter": {...}, "projection": {...}, "sort": {"total": -1}, "skip": 5, "limit": 10}'
    -q '{"collection": "orders", "pipeline": [{"$match": {...}}, {"$group": {...}}]}'

Extended JSON stands for what JSON has no form of: ``{"_id": {"$oid": "..."}}``, ``{"$date": "2026-01-01T00:00:00Z"}``.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from penstock._extras import need
from penstock.errors import ConfigurationError
from penstock.flow.suggest import did_you_mean

if TYPE_CHECKING:
    from penstock.connectors._requests import SourceRequest

__all__ = ["Query", "query_of"]

Document = dict[str, Any]

# Field of the query, and what it is called where pymongo is asked; None: it is given by position or by another way.
_OF_FIND = {
    "filter": "filter",
    "projection": "projection",
    "sort": "sort",
    "skip": "skip",
    "limit": "limit",
    "hint": "hint",
    "collation": "collation",
    "let": "let",
    "allowDiskUse": "allow_disk_use",
    "maxTimeMS": "max_time_ms",
    "comment": "comment",
}
_OF_PIPELINE = frozenset({"hint", "collation", "let", "allowDiskUse", "maxTimeMS", "comment"})
_WRITING_STAGES = ("$out", "$merge")
_FIND_EXAMPLE = '{"collection": "orders", "filter": {"total": {"$gt": 100}}}'
_FILTER_EXAMPLE = '{"total": {"$gt": 100}}'
_MOST_DOCUMENTS = (1 << 63) - 1  # no larger number can be sent
_DEEPEST = 200  # levels; MongoDB promises 100: https://www.mongodb.com/docs/manual/reference/limits


@dataclass(frozen=True)
class Query:
    """A find, or an aggregation where there is a pipeline.

    Attributes:
        collection: what it reads.
        pipeline: stages of an aggregation; None for a find.
        options: of ``find_raw_batches`` or ``aggregate_raw_batches``, by their names there.
        names: fields to read, in this order; None for all.
        is_plain: whether it reads the whole collection, so that its size is that of the result.
    """

    collection: str
    pipeline: tuple[Document, ...] | None = None
    options: Mapping[str, Any] = field(default_factory=dict)
    names: tuple[str, ...] | None = None
    is_plain: bool = False

    def limited(self, limit: int) -> Query:
        """Return it for ``limit`` documents at most; 1 at least, since MongoDB reads 0 as no limit."""
        limit = min(max(1, limit), _MOST_DOCUMENTS)
        if self.pipeline is not None:
            return replace(self, pipeline=(*self.pipeline, {"$limit": limit}))
        asked_for = self.options.get("limit") or limit
        return replace(self, options={**self.options, "limit": min(asked_for, limit)})

    def __str__(self) -> str:
        if self.pipeline is None:
            return "find"
        return (
            f"aggregate ({' -> '.join(next(iter(stage)) for stage in self.pipeline)})" if self.pipeline else "aggregate"
        )


def query_of(request: SourceRequest) -> Query:
    """Return what a request for a collection, a find or an aggregation means.

    Raises:
        ConfigurationError: it says nothing, or not as MongoDB would understand it; no JSON, an unknown key.
    """
    if request.query is not None:
        query = _Parser(request.shown).query(request.query)
    elif request.table:
        query = Query(request.table, is_plain=request.where is None)
    else:
        raise ConfigurationError(
            f"{request.shown}: say what to read: a collection (-t) or a query as JSON (-q {_FIND_EXAMPLE!r})"
        )
    query = _where(query, request)
    query = _columns(query, request)
    if request.limit is not None:
        query = replace(query.limited(request.limit), is_plain=False)
    _check_sendable(query, request.shown)
    return query


def _check_sendable(query: Query, shown: str) -> None:
    """Refuse what JSON can say and BSON cannot: numbers beyond 64 bits, half of a character, a name with a zero in it."""
    bson_error = need("bson.errors", extra="mongo", why="read MongoDB").BSONError
    everything = {"": query.collection, "pipeline": query.pipeline, "options": query.options}
    try:
        need("bson", extra="mongo", why="read MongoDB").encode(everything)
    except (ValueError, OverflowError, RecursionError, bson_error) as exc:
        raise ConfigurationError(f"{shown}: this query can not be sent to MongoDB: {exc}") from exc


def _where(query: Query, request: SourceRequest) -> Query:
    if request.where is None:
        return query
    condition = _Parser(request.shown).document(request.where, "where", _FILTER_EXAMPLE)
    if query.pipeline is not None:
        return replace(query, pipeline=(*query.pipeline, {"$match": condition}))
    earlier = query.options.get("filter")
    both = {"$and": [earlier, condition]} if earlier else condition
    return replace(query, options={**query.options, "filter": both}, is_plain=False)


def _columns(query: Query, request: SourceRequest) -> Query:
    if request.columns is None:
        return query
    for name in request.columns:
        if not name or name.startswith("$") or "." in name:
            raise ConfigurationError(
                f"{request.shown}: columns are fields of the document itself, not {name!r}; for what is inside of "
                'others give a query with a pipeline: {"$project": {"city": "$address.city"}}'
            )
    if len(set(request.columns)) < len(request.columns):
        raise ConfigurationError(f"{request.shown}: a column is named twice: {', '.join(request.columns)}")
    if "projection" in query.options:
        raise ConfigurationError(f"{request.shown}: give columns or the query's own projection, not both")
    projection = dict.fromkeys(request.columns, 1) | ({} if "_id" in request.columns else {"_id": 0})
    query = replace(query, names=tuple(request.columns))
    if query.pipeline is not None:
        return replace(query, pipeline=(*query.pipeline, {"$project": projection}))
    return replace(query, options={**query.options, "projection": projection})


def _is_deeper(value: object, levels: int) -> bool:
    """Whether there are more dicts and lists inside of each other."""
    inside = [value]
    for _ in range(levels + 1):
        inside = [each for outer in inside for each in _held_by(outer)]
        if not inside:
            return False
    return True


def _held_by(value: object) -> Iterable[object]:
    return value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()


class _Parser:
    def __init__(self, shown: str) -> None:
        self._shown = shown

    def document(self, text: str, what: str, example: str) -> Document:
        """Return the JSON object in ``text``, which may be Extended JSON."""
        json_util = need("bson.json_util", extra="mongo", why="read MongoDB")
        bson_error = need("bson.errors", extra="mongo", why="read MongoDB").BSONError
        try:
            found = json_util.loads(text)
            if _is_deeper(found, _DEEPEST):  # how deep Python can read differs from release to release
                raise RecursionError
        except (ValueError, TypeError, bson_error) as exc:  # the latter of {"$oid": 5} and the like
            raise ConfigurationError(f"{self._shown}: {what} is not JSON: {exc}; write for example {example}") from exc
        except (ArithmeticError, AttributeError, KeyError, RecursionError) as exc:  # of {"$binary": {}} and the like
            what_is_wrong = (
                "is nested too deeply" if isinstance(exc, RecursionError) else "holds what is no Extended JSON"
            )
            raise ConfigurationError(f"{self._shown}: {what} {what_is_wrong}") from exc
        if not isinstance(found, dict):
            raise ConfigurationError(f"{self._shown}: {what} must be a JSON object; write for example {example}")
        return found

    def query(self, text: str) -> Query:
        given = self.document(text, "the query", _FIND_EXAMPLE)
        collection = given.pop("collection", None)
        if not isinstance(collection, str) or not collection:
            raise ConfigurationError(f"{self._shown}: the query names no collection; write for example {_FIND_EXAMPLE}")
        if "pipeline" in given:
            return self._aggregation(collection, given)
        self._check_keys(given, ["collection", "pipeline", *_OF_FIND])
        self._check_values(given)
        options = {_OF_FIND[key]: value for key, value in given.items() if value is not None}
        if "sort" in options:
            options["sort"] = self._pairs(options["sort"], "sort")
        if isinstance(options.get("hint"), dict | list):
            options["hint"] = self._pairs(options["hint"], "hint")
        return Query(collection, options=options, is_plain=not options.keys() & {"filter", "limit", "skip"})

    def _aggregation(self, collection: str, given: Document) -> Query:
        pipeline = given.pop("pipeline")
        self._check_keys(given, ["collection", "pipeline", *sorted(_OF_PIPELINE)])
        if not isinstance(pipeline, list) or not all(isinstance(stage, dict) and len(stage) == 1 for stage in pipeline):
            raise ConfigurationError(
                f"{self._shown}: pipeline must be a list of stages, each an object with one key: "
                '[{"$match": {...}}, {"$group": {...}}]'
            )
        for stage in pipeline:
            if (name := next(iter(stage))) in _WRITING_STAGES:
                raise ConfigurationError(f"{self._shown}: {name} writes; sources are only read")
        self._check_values(given)
        options = {key: value for key, value in given.items() if value is not None}
        if isinstance(options.get("hint"), list):
            options["hint"] = dict(self._pairs(options["hint"], "hint"))
        return Query(collection, pipeline=tuple(pipeline), options=options)

    def _check_keys(self, given: Document, known: list[str]) -> None:
        for key in given:
            if key not in known:
                hint = did_you_mean(key, known, otherwise=f"known are {', '.join(known)}")
                raise ConfigurationError(f"{self._shown}: unknown key {key!r} in the query: {hint}")

    def _check_values(self, given: Document) -> None:
        """Check what pymongo would refuse, as nobody would expect it to: with a TypeError."""
        for key in ("filter", "projection", "collation", "let"):
            if not isinstance(given.get(key, {}), dict | None):
                raise ConfigurationError(f"{self._shown}: {key} in the query must be a JSON object")
        for key in ("skip", "limit"):
            value = given.get(key, 0)
            if not isinstance(value, int) or isinstance(value, bool) or value < 0:
                raise ConfigurationError(f"{self._shown}: {key} in the query must be a number from 0 on, not {value!r}")
        if not isinstance(given.get("allowDiskUse"), bool | None):
            raise ConfigurationError(f"{self._shown}: allowDiskUse in the query must be true or false")
        hint = given.get("hint")
        if not isinstance(hint, str | dict | list | None) or hint in ({}, []):
            raise ConfigurationError(
                f'{self._shown}: hint in the query is the name of an index, or like {{"total": 1}}'
            )

    def _pairs(self, given: object, what: str) -> list[tuple[str, Any]]:
        """Return ``{"a": 1, "b": -1}`` or ``[["a", 1], ["b", -1]]`` as pairs: their order counts."""
        pairs = list(given.items()) if isinstance(given, dict) else given
        if isinstance(pairs, list) and all(_is_pair(pair) for pair in pairs):
            return [(name, direction) for name, direction in pairs]
        raise ConfigurationError(f'{self._shown}: {what} in the query must look like {{"total": -1}}')


def _is_pair(pair: object) -> bool:
    return (
        isinstance(pair, list | tuple)
        and len(pair) == 2
        and isinstance(pair[0], str)
        and isinstance(pair[1], int | str | dict)  # -1, "text", {"$meta": "textScore"}
    )
