"""``BaseFormat``: defaults for the properties that every format has to have."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import fields
from typing import TYPE_CHECKING, Any, ClassVar, Self

if TYPE_CHECKING:
    from penstock.flow.losses import Losses, OnTypeLoss

__all__ = ["BaseFormat"]


class BaseFormat:
    """Defaults for a format that is a frozen dataclass whose fields are its options.

    Attributes:
        needs_seeking: see :class:`penstock.flow.contracts.Format`.
        compresses_itself, keeps_batches: see there, too.
        shaping: names of the options that change what the bytes look like; all others only say how they are made.
    """

    name: str
    needs_seeking: ClassVar[bool] = False
    compresses_itself: ClassVar[bool] = False
    keeps_batches: ClassVar[bool] = False
    shaping: ClassVar[frozenset[str]] = frozenset()

    @property
    def dialect(self) -> str:
        """The name, with those shaping options that differ from their defaults."""
        options: list[Any] = [field for field in fields(self) if field.name in self.shaping]  # type: ignore[arg-type]
        changed = [
            f"{option.name}={getattr(self, option.name)!r}"
            for option in options
            if getattr(self, option.name) != option.default
        ]
        return f"{self.name}({', '.join(changed)})" if changed else self.name

    @property
    def concatenates(self) -> bool:
        """False: a file has a beginning or an end of its own, besides the records."""
        return False

    def projected(self, columns: Sequence[str]) -> Self:
        """Return itself: every column has to be read to find where the next one begins."""
        return self

    def sized(self, batch_bytes: int) -> Self:
        """Return itself: the memory it needs does not depend on the size of batches."""
        return self

    def with_losses(self, on_type_loss: OnTypeLoss, losses: Losses) -> Self:
        """Return itself: every column has a type that the bytes state, or is text, so no value can fail to fit."""
        return self
