"""A table of text: the same on a terminal, in a model card and in a report."""

from dataclasses import dataclass

from rich import box
from rich.console import Console, RenderableType
from rich.table import Table

Row = tuple[str, ...]

PIPE_COLUMNS = 200  # of text: a file has no width of its own


def say(*shown: RenderableType) -> None:
    """Print tables, wide enough for a file if nobody sits at a terminal."""
    console = Console()
    wide = console if console.is_terminal else Console(width=PIPE_COLUMNS)
    wide.print(*shown)


@dataclass(frozen=True)
class TextTable:
    """A titled table; the first column is words, the others are numbers."""

    title: str
    columns: Row
    rows: tuple[Row, ...]

    def table(self) -> Table:
        """Return it for a terminal."""
        table = Table(
            title=self.title,
            title_justify="left",
            box=box.SIMPLE_HEAD,
            pad_edge=False,
            collapse_padding=True,
        )
        for index, column in enumerate(self.columns):
            table.add_column(column, justify="right" if index else "left")
        for row in self.rows:
            table.add_row(*row)
        return table

    def markdown(self) -> list[str]:
        """Return the lines of a Markdown table, without the title."""
        lines = [self.columns, ("---", *["---:"] * (len(self.columns) - 1)), *self.rows]
        return [f"| {' | '.join(line)} |" for line in lines]
