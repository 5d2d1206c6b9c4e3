"""``sweep validate``."""

from sweep.commands.options import Cache, Overrides, SpecPath, cache_of, exit_codes, say


def validate(spec: SpecPath, overrides: Overrides = [], cache: Cache = None) -> None:  # noqa: B006
    """Check SPEC: its form, its corpus, its models and its layers."""
    from sweep.state.run_folder import local_cache

    with exit_codes():
        from sweep.commands.prepare_spec import corpus_line, prepare_spec
        from sweep.wording import counted

        prepared = prepare_spec(spec, overrides, local_cache(cache_of(cache)), measure=False)
        models = counted(len(prepared.plan.models), "model")
        print(f"{spec}: valid; {models}, {counted(prepared.plan.n_cells, 'cell')}")
        print(corpus_line(prepared))
        if prepared.unmeasured:
            say(f"not measured, and not checked: {', '.join(prepared.unmeasured)}")
        for note in prepared.notes:
            say(f"warning: {note}")
