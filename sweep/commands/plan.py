"""``sweep plan``."""

from sweep.commands.options import Cache, Out, Overrides, SpecPath, cache_of, exit_codes, out_of


def plan(spec: SpecPath, overrides: Overrides = [], out: Out = None, cache: Cache = None) -> None:  # noqa: B006
    """Show what `run` would do: cells, forward passes, disk. Runs nothing."""
    from sweep.commands.print_plan import print_plan

    with exit_codes():
        print_plan(spec, overrides, out_of(out), cache_of(cache))
