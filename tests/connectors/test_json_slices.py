"""Finding values in JSON text: at the right place, whatever stands around them, and never for ever."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings, strategies as st

from penstock.connectors.http._json_slices import NotFound, NotJson, check_rest, elements, end_of_value, value_at
from penstock.core.cancel import CancelScope

SCALARS = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text()
VALUES = st.recursive(
    SCALARS, lambda inside: st.lists(inside) | st.dictionaries(st.text(min_size=1), inside), max_leaves=20
)
NAMES = st.text(alphabet='abcdé"\\[]{}\n', min_size=1, max_size=5)


def written(value: Any, indent: int | None, is_ascii: bool) -> bytes:
    """JSON in one of the ways people write it."""
    return json.dumps(value, indent=indent, ensure_ascii=is_ascii).encode()


@settings(max_examples=50)
@given(VALUES, NAMES, st.sampled_from([None, 0, 2]), st.booleans())
def test_a_value_is_found_as_the_parser_finds_it(value: Any, name: str, indent: int | None, is_ascii: bool) -> None:
    """Behind others, inside others, in any layout."""
    outer = {"before ]}": ["}", {"x": "]"}], name: {"inside": [0, value, "\\"]}, "after": '"'}
    text = written(outer, indent, is_ascii)
    start, end = value_at(text, [name, "inside", "1"])
    assert json.loads(text[start:end]) == value
    assert (start, end) == value_at(text, [name, "inside", "-2"])


@settings(max_examples=50)
@given(st.lists(VALUES), st.sampled_from([None, 0, 2]))
def test_the_elements_are_those_of_the_parser(values: list[Any], indent: int | None) -> None:
    """All of them, in order."""
    text = written(values, indent, True)
    assert [json.loads(text[start:end]) for start, end in elements(text, 0)] == values


@settings(max_examples=50)
@given(VALUES, st.data())
def test_what_is_around_a_value_is_whole(value: Any, data: st.DataObject) -> None:
    """Wherever the text is cut behind it, and whatever is added at the end."""
    text = written({"]": [[], {"inside": value}], "after": [{"}": '"'}]}, None, True)
    start, end = value_at(text, ["]", "1", "inside"])
    check_rest(text, start, end)
    with pytest.raises(NotJson, match=r"not JSON: (it ends where|the end of what begins)"):
        check_rest(text[: data.draw(st.integers(end, len(text) - 1))], start, end)
    with pytest.raises(NotJson, match=f"not JSON: the end should be at byte {len(text)}"):
        check_rest(text + b"{}", start, end)


def test_a_cancel_ends_the_search() -> None:
    """In one large value as well."""
    with CancelScope() as scope:
        scope.cancel("enough")
        end_of_value(b"[" + b"[]," * 100_000 + b"[]]", 0)
        pytest.fail("it went on")
    assert scope.cancelled_caught


@settings(max_examples=50)
@given(VALUES, st.data())
def test_text_that_is_cut_is_noticed(value: Any, data: st.DataObject) -> None:
    """An object or array that has no end has none."""
    text = written([value], None, True)
    cut = text[: data.draw(st.integers(1, len(text) - 1))]
    with pytest.raises(NotJson, match="not JSON"):
        end_of_value(cut, 0)


@pytest.mark.parametrize(
    ("path", "said"),
    [
        (["b"], "there is no 'b'; there is a, c"),
        (["a", "x"], r"there is no 'a\.x'; it is an array"),
        (["a", "2"], r"there is no 'a\.2'; it is an array"),
        (["a", "-3"], r"there is no 'a\.-3'; it is an array"),
        (["c", "x", "y"], r"there is no 'c\.x'; it is neither an object nor an array"),
    ],
)
def test_what_is_not_there_is_not_found(path: list[str], said: str) -> None:
    """And the message says what is there instead."""
    with pytest.raises(NotFound, match=said):
        value_at(b'{"a": [1, 2], "c": null}', path)


@pytest.mark.parametrize("text", [b"", b"{", b"{1: 2}", b'{"a" 1}', b'{"a": }', b'{"a": 1 "b": 2}', b'{"a": "x'])
def test_what_is_no_json_is_said(text: bytes) -> None:
    """With what should have been where."""
    with pytest.raises(NotJson, match=r"not JSON: .* should be"):
        value_at(text, ["b"])


def test_a_name_with_dots_is_one_name_or_several() -> None:
    """Steps first; together where nothing else is there."""
    text = b'{"a.b": 1, "a": {"b": 2}, "@x.y": {"z.w": 3}}'
    for path, value in (("a.b", b"2"), ("@x.y.z.w", b"3")):
        start, end = value_at(text, path.split("."))
        assert text[start:end] == value


def test_long_strings_full_of_escapes_take_linear_time() -> None:
    """Nothing is tried twice: a megabyte of backslashes and quotes is no trap."""
    text = b'["' + b'\\"' * 500_000 + b'", ' + b"[" * 1000
    with pytest.raises(NotJson):
        end_of_value(text, 0)
    assert end_of_value(text[1:], 0) == 1_000_002
