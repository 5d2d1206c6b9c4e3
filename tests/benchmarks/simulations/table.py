"""Tables of simulated coverage, width, size and power, as Markdown."""

from collections.abc import Iterator, Mapping

import numpy as np


class Table:
    """Rows of settings; for every method, a few shares or widths."""

    columns = ("coverage", "mean width", "95 % of widths")

    def __init__(self, title: str, methods: tuple[str, ...]) -> None:
        self.title, self.methods = title, methods
        self.rows: dict[str, Mapping[str, tuple[float, ...]]] = {}

    def add(self, setting: str, found: Mapping[str, tuple[float, ...]]) -> None:
        """Add the numbers of one setting, ``columns`` by method."""
        self.rows[setting] = found

    def markdown(self) -> Iterator[str]:
        """Yield the lines of the table."""
        heads = [f"{column}, {method}" for column in self.columns for method in self.methods]
        yield f"### {self.title}"
        yield ""
        yield f"| setting | {' | '.join(heads)} |"
        yield f"|---|{'---:|' * len(heads)}"
        for setting, found in self.rows.items():
            yield f"| {setting} | {' | '.join(self._cells(found))} |"
        yield ""
        yield from self.summary()
        yield ""

    def summary(self) -> Iterator[str]:
        """Yield sentences on all settings."""
        for number, column in enumerate(self.columns):
            for method in self.methods:
                values = np.array([found[method][number] for found in self.rows.values()])
                if number == 0:
                    yield (
                        f"- {column}, {method}: mean {values.mean():.3f}, {values.min():.3f} to "
                        f"{values.max():.3f}"
                    )
            if number:
                first, last = self.methods[0], self.methods[-1]
                ratios = [
                    found[last][number] / found[first][number] for found in self.rows.values()
                ]
                yield f"- {column}, {last} ÷ {first}: {np.mean(ratios):.2f} on average"

    def _cells(self, found: Mapping[str, tuple[float, ...]]) -> Iterator[str]:
        for number in range(len(self.columns)):
            for method in self.methods:
                yield f"{found[method][number]:.3f}"


class Tests(Table):
    """Size and power of tests."""

    columns = ("rejections",)

    def summary(self) -> Iterator[str]:
        """Yield the range of rejections of every method."""
        for method in self.methods:
            values = np.array([found[method][0] for found in self.rows.values()])
            yield f"- {method}: {values.min():.3f} to {values.max():.3f}, mean {values.mean():.3f}"
