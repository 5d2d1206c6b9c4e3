"""Options that verbs share."""

import pytest
import typer

from sweep.commands.options import where_of


@pytest.mark.parametrize(
    ("local", "address", "inline", "executor", "where"),
    [
        (False, None, False, None, "local"),
        (True, None, False, None, "local"),
        (False, None, True, None, "inline"),
        (False, "auto", False, None, "cluster"),
        (False, None, False, "inline", "inline"),
        (False, "auto", False, "cluster", "cluster"),
    ],
)
def test_one_option_decides_where_jobs_run(
    local: bool, address: str | None, inline: bool, executor: str | None, where: str
) -> None:
    assert where_of(local, address, inline, executor) == where


@pytest.mark.parametrize(
    ("local", "address", "inline", "executor"),
    [
        (True, None, True, None),
        (True, "auto", False, None),
        (False, None, True, "cluster"),
    ],
)
def test_two_places_to_run_are_refused(
    local: bool, address: str | None, inline: bool, executor: str | None
) -> None:
    with pytest.raises(typer.BadParameter, match="choose one of"):
        where_of(local, address, inline, executor)


def test_an_unknown_executor_is_refused_with_the_nearest_name() -> None:
    with pytest.raises(typer.BadParameter, match="no executor 'inlien'; did you mean 'inline'"):
        where_of(False, None, False, "inlien")
