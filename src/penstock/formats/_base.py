"""What every format says of itself, by default."""

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
        compresses_itself: see there, too.
        shaping: names of the options that change what the bytes look like; all others only say how they are made.
    """

    name: str
    needs_seeking: ClassVar[bool] = False
    compresses_itself: ClassVar[bool] = False
    shaping: ClassVar[frozenset[str]] = frozenset()

    @property
    def dialect(self) -> str:
        """The name, and the shaping options that are not as by default."""
        options: list[Any] = [field for field in fields(self) if field.name in self.shaping]  # type: ignore[arg-type]
        changed = [
            f"{option.name}={getattr(self, option.name)!r}"
            for option in options
            if getattr(self, option.name) != option.default
        ]
        return f"{self.name}({', '.join(changed)})" if changed else self.name

    @property
    def concatenates(self) -> bool:
        """False: there is something at the beginning or the end of a file."""
        return False

    def projected(self, columns: Sequence[str]) -> Self:
        """Return itself: every column has to be read to know where the next one begins."""
        return self

    def sized(self, batch_bytes: int) -> Self:
        """Return itself: what it holds is bounded whatever the size of a batch."""
        return self

    def with_losses(self, on_type_loss: OnTypeLoss, losses: Losses) -> Self:
        """Return itself: the bytes say of each column what it holds, or every column is text."""
        return self
