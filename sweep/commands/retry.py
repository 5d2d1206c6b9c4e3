"""``sweep retry``."""

from sweep import open_run
from sweep.commands.drive import drive
from sweep.commands.options import (
    Address,
    Cache,
    ExecutorName,
    FailFast,
    Inline,
    Local,
    RunPath,
    ShowAs,
    Unlock,
    cache_of,
    exit_codes,
    place_of,
    typed_arguments,
    where_of,
)


def retry(
    run: RunPath,
    local: Local = False,
    address: Address = None,
    inline: Inline = False,
    executor: ExecutorName = None,
    display: ShowAs = None,
    fail_fast: FailFast = False,
    cache: Cache = None,
    unlock: Unlock = False,
) -> None:
    """Run the failed cells of a run again, and nothing else."""
    from sweep.running.options import RunOptions

    with exit_codes():
        opened = open_run(run)
        if not any(record.status == "failed" for record in opened.records.values()):
            print(f"{run}: no cell failed; do what is left with `sweep run`")
            return
        used = opened.cache
    options = RunOptions(
        where=where_of(local, address, inline, executor),
        address=address,
        out=place_of(run),
        cache=cache_of(cache or used),
        fail_fast=fail_fast,
        only_failed=True,
        unlock=unlock,
        arguments=typed_arguments(),
    )
    drive(opened.folder.spec, options, display)
