"""The terminal: rich's, but whoever reads may leave and the work goes on."""

from __future__ import annotations

import rich.console

from bench import shell


class Console(rich.console.Console):
    """A console whose reader may leave, as `head` does.

    rich would end the program with 1, which is a verdict of a guard.
    """

    def on_broken_pipe(self) -> None:
        """Show nothing any more; files are still written, and the exit code stays."""
        self.quiet = True
        shell.reader_left(self.file)
