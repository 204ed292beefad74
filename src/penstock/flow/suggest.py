"""``did_you_mean``: suggest known names for a mistyped one, for error messages."""

from __future__ import annotations

import difflib
from collections.abc import Iterable

__all__ = ["did_you_mean"]

_SIMILAR = (0.75, 0.5)  # minimum similarities, tried in this order; 0.5 still finds "s3" for "s4"


def did_you_mean(given: str, known: Iterable[str], *, otherwise: str = "") -> str:
    """Return ``"did you mean 'csv'?"`` for the known name nearest to ``given``, or ``otherwise``.

    Case is ignored. At most three names are offered, the nearest first.
    """
    by_folded = {name.casefold(): name for name in known}
    for similarity in _SIMILAR:
        near = difflib.get_close_matches(given.casefold(), by_folded, n=3, cutoff=similarity)
        if near:
            return f"did you mean {' or '.join(repr(by_folded[name]) for name in near)}?"
    return otherwise
