"""Tables of the report in a compact form, column by column."""

from collections.abc import Sequence
from typing import Any

from sweep.report.tables.markup import Cell, Table

MOST_DIFFERENT = 0.5
"""Part of the rows that may differ for a column's texts to be written once and then numbered."""


def table_data(table: Table) -> dict[str, Any]:
    """Write a table as columns, each with its ``texts`` and, where it differs from these, the
    ``order`` of its rows when sorted."""
    columns = list(zip(*table.rows, strict=True)) or [()] * len(table.header)
    return {
        "rows": len(table.rows),
        "columns": [
            {"title": title, "numeric": numeric, **_texts(column), **_order(column)}
            for title, numeric, column in zip(table.header, table.numeric, columns, strict=True)
        ],
    }


def _texts(column: Sequence[Cell]) -> dict[str, Any]:
    texts = [cell.text for cell in column]
    different = list(dict.fromkeys(texts))
    if len(different) > MOST_DIFFERENT * len(texts):
        return {"texts": texts}
    number = {text: at for at, text in enumerate(different)}
    return {"different": different, "numbers": [number[text] for text in texts]}


def _order(column: Sequence[Cell]) -> dict[str, Any]:
    """The rank of every row by all digits of its value, not by what is printed; -1 without one."""
    keys = [cell.key for cell in column]
    if all(key == cell.text for key, cell in zip(keys, column, strict=True)):
        return {}
    values = {key for key in keys if isinstance(key, int | float)}
    if any(isinstance(key, str) for key in keys):
        return {"keys": [key if isinstance(key, str) else None for key in keys]}
    rank = {value: at for at, value in enumerate(sorted(values))}
    return {"order": [rank[key] if isinstance(key, int | float) else -1 for key in keys]}
