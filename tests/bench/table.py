"""What a measurement gives: a table with a title and a sentence on how it was taken."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    title: str
    how: str
    headings: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]

    def markdown(self) -> str:
        lines = [f"## {self.title}", "", self.how, "", _row(self.headings), _row(("---",) * len(self.headings))]
        return "\n".join([*lines, *(_row(row) for row in self.rows), ""])


def _row(cells: tuple[str, ...]) -> str:
    return f"| {' | '.join(cells)} |"
