"""``sweep submit``."""

import sys
from pathlib import Path
from typing import Annotated

import typer

from sweep.commands.options import (
    Cache,
    Out,
    Overrides,
    SpecPath,
    Unlock,
    cache_of,
    check_address,
    exit_codes,
    out_of,
)


def submit(
    spec: SpecPath,
    address: Annotated[
        str, typer.Option(metavar="URL", help="The cluster's dashboard: http://HOST:8265.")
    ],
    out: Out = None,
    cache: Cache = None,
    overrides: Overrides = [],  # noqa: B006
    unlock: Unlock = False,
) -> None:
    """Have a cluster run SPEC by itself. Paths are those of its nodes; --out and --cache, too."""
    from sweep.commands.submit_job import submit

    check_address(address)
    with exit_codes():
        job = submit(
            spec,
            address,
            out=out_of(out),
            cache=cache_of(cache),
            overrides=overrides,
            unlock=unlock,
            command=sys.argv[1:],
        )
    shipped = f"shipped {job.shipped_bytes / 2**20:.1f} MiB: this project's wheel and the spec"
    print(shipped, file=sys.stderr)
    print(f"log:   ray job logs --follow {job.id} --address {address}", file=sys.stderr)
    where = "   # where that folder is" if isinstance(job.out, Path) else ""
    print(f"watch: sweep watch {job.out}{where}", file=sys.stderr)
    print(f"stop:  sweep stop {job.out}", file=sys.stderr)
    print(job.id)
