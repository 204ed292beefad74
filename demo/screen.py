"""What the demo says: plain lines in a log; colours, and a sign of life while commands run, on a terminal."""

from __future__ import annotations

from contextlib import AbstractContextManager

from rich.console import Console
from rich.text import Text

MIB = 1024 * 1024


class Screen:
    """Prints the demo, line by line."""

    def __init__(self) -> None:
        self._console = Console(highlight=False, soft_wrap=True)

    def title(self, text: str) -> None:
        self._console.print(Text(text, style="bold"))

    def chapter(self, text: str) -> None:
        self._console.print()
        self.title(text)

    def note(self, text: str) -> None:
        self._console.print(Text(f"  {text}", style="dim"))

    def command(self, *arguments: str) -> None:
        self._console.print(Text.assemble(("$ ", "dim"), (f"penstock cp {' '.join(arguments)}", "cyan")))

    def working(self, text: str) -> AbstractContextManager[object]:
        """Show that something goes on; nothing of it stays, and nothing of it is in a log."""
        return self._console.status(Text(text, style="dim"))

    def copied(self, rows: int, seconds: float, peaks: dict[int, int], facts: str) -> None:
        """One copy: how fast, in how much memory (of the whole, and of the small one before it), and how."""
        (few, least), (many, most) = ((f"{count:,}", f"{peak / MIB:.0f} MiB") for count, peak in peaks.items())
        line = Text.assemble(
            "  ",
            (f"{rows / seconds:>9,.0f} rows/s", "bold green"),
            "   peak memory ",
            (f"{most:>7}", "bold green"),
            f" for {many} rows, {least:>7} for {few}",
            (f"   {facts}" if facts else "", "dim"),
        )
        self._console.print(line)

    def said(self, words: str) -> None:
        """What the command itself said when it failed."""
        self._console.print(Text(f"  {words}", style="yellow"))

    def fact(self, text: str) -> None:
        self._console.print(Text(f"  {text}"))

    def verdict(self, found: dict[str, list[str]], seconds: float) -> None:
        """The last line: what was looked for and not found, or what was found."""
        self._console.print()
        for what in (f"{kind}: {one}" for kind, several in found.items() for one in several):
            self._console.print(Text(f"LEFT BEHIND: {what}", style="bold red"))
        if not any(found.values()):
            *most, last = found
            looked_for = f": no {', '.join(most)} or {last}. {seconds:.0f} s in all."
            self._console.print(Text.assemble(("Nothing left behind", "bold green"), looked_for))
