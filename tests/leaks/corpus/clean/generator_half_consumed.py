"""A plain generator that was left half-way, and holds nothing, is a value like any other."""

from collections.abc import Iterator

sequences: list[Iterator[int]] = []


def squares() -> Iterator[int]:
    for number in range(100):
        yield number * number


def program() -> None:
    sequences.append(squares())
    assert next(sequences[0]) == 0
