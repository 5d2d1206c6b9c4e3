"""Write a draft as commented YAML."""

from collections.abc import Iterator, Sequence

import yaml

from sweep.drafts.draft import Draft, Values

SCHEMA = "sweep.schema.json"
"""Name of the file that editors complete and check a spec by."""


def draft_yaml(draft: Draft, models: Sequence[Values]) -> str:
    """Return the spec."""
    return "\n".join(_lines(draft, models)) + "\n"


def _lines(draft: Draft, models: Sequence[Values]) -> Iterator[str]:
    yield f"# yaml-language-server: $schema={SCHEMA}"
    yield "# Every key is described in specs/README.md, and in editors that know the schema above."
    yield f"name: {_flow(draft.name)}"
    yield ""
    yield f"# {draft.about_corpus}"
    yield "corpus:"
    for key, value in draft.corpus.items():
        yield f"  {key}: {_flow(value)}"
    yield ""
    yield "targets:                      # what to predict; delete what you do not ask"
    width = max(len(_flow(target.name)) for target in draft.targets)
    for target in draft.targets:
        yield f"  - {_flow(target.name):<{width}}   # {target.meaning}"
    for column in draft.left_out:
        yield f"  # left out: {column}"
    yield ""
    yield "# Others: a checkpoint in WeSpeaker's format, kind: transformers, or kind: python for"
    yield "# what a function of yours returns. `sweep layers MODEL` lists layers."
    yield "models:"
    for model in models:
        yield f"  - {_flow(model)}"
    yield "layers: blocks                # or all, or a list, as in [stem, 'layer2.*', -1]"
    yield ""
    yield "probes:"
    classes = {target.is_class for target in draft.targets}
    if False in classes:
        yield "  - {kind: ridge}             # for numbers"
    if True in classes:
        yield "  - {kind: logistic}          # for classes"
    yield ""
    yield f"protocol: {_flow(draft.protocol)}   # {draft.about_protocol}"
    yield "baselines: [mean, duration, fbank]   # a score means little without them"


def _flow(value: object) -> str:
    """Format a value as YAML on one line."""
    text: str = yaml.safe_dump(
        value, default_flow_style=True, sort_keys=False, allow_unicode=True, width=10**9
    )
    return text.removesuffix("\n").removesuffix("\n...")
