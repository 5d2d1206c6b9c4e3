"""The card of an export: ``README.md`` with the front matter that data hubs read."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from importlib import metadata
from pathlib import PurePath
from typing import Any

import yaml

from jobs.models import source_of
from jobs.secrets import without_secrets
from sweep.export.parquet.activations import LAYERS
from sweep.export.parquet.folder import SUMS, WrittenFile
from sweep.export.parquet.licences import corpus_licence, model_licence
from sweep.export.parquet.tables import PREDICTIONS
from sweep.own_packages import DISTRIBUTION
from sweep.report.methods.document import methods
from sweep.report.sections import SECTIONS
from sweep.report.tables.markup import Cell, Table, escape_markdown, to_markdown
from sweep.report.text.claims import claims_of
from sweep.results.run import Run

DIGEST = 12
"""Digits of a digest of weights that are shown."""
_SIZES = ((1_000, "n<1K"), (10_000, "1K<n<10K"), (100_000, "10K<n<100K"),
          (1_000_000, "100K<n<1M"))  # fmt: skip
"""Numbers of utterances, and the hub's names for what is below them."""

READING = """```python
import pandas
from safetensors.numpy import load_file

layers = pandas.read_parquet("tables/layers.parquet")  # a row per model, layer, target and probe
files = pandas.read_parquet("activations/layers.parquet")  # a row per file of activations
first = files.iloc[0]
values = load_file(first["file"])["activations"]  # (utterances, width) float32
index = pandas.read_parquet(first["index"])  # the utterance, speaker, split and targets of each row
```"""


@dataclass(frozen=True)
class CardFacts:
    """What the card says beside what is in the run."""

    licence: str
    """Licence of the export: an SPDX identifier in lower case, as hubs write it."""
    notes: Sequence[str]
    """Sentences on what is missing."""


def card(run: Run, files: Sequence[WrittenFile], facts: CardFacts) -> str:
    """Write the card of an export whose ``files`` are written."""
    front = yaml.safe_dump(_front_matter(run, files, facts), sort_keys=False, allow_unicode=True)
    body = "\n\n".join(part for part in _parts(run, files, facts) if part)
    return f"---\n{front}---\n\n{body}\n"


def _front_matter(run: Run, files: Sequence[WrittenFile], facts: CardFacts) -> dict[str, Any]:
    tables = [file.path for file in files if file.path.endswith(".parquet")]
    shown = [path for path in tables if path.startswith("tables/") or path == PREDICTIONS]
    count = len(run.utterances)
    size = next((name for limit, name in _SIZES if count < limit), "n>1M")
    return {
        "license": facts.licence,
        "pretty_name": f"{run.plan.name}: layer-wise probing",
        "tags": ["speech", "probing", "interpretability", DISTRIBUTION],
        "size_categories": [size],
        "configs": [
            {"config_name": PurePath(path).stem, "data_files": path} for path in sorted(shown)
        ],
        "probing_sweep": {
            "version": metadata.version(DISTRIBUTION),
            "run": run.plan.name,
            "revision": _revision(run),
            "models": [model.name for model in run.plan.models],
            "targets": list(run.plan.targets),
            "probes": list(run.plan.probes),
        },
    }


def _parts(run: Run, files: Sequence[WrittenFile], facts: CardFacts) -> Iterator[str]:
    yield f"# {escape_markdown(run.plan.name)}: layer-wise probing"
    yield (
        f"Scores, predictions and activations of a sweep of probes over the layers of speech "
        f"models, exported by {DISTRIBUTION} {metadata.version(DISTRIBUTION)}. There is no audio "
        "in it, and no transcript."
    )
    yield "\n".join(f"- {escape_markdown(sentence)}" for sentence in claims_of(run).headlines)
    yield "\n".join(f"- {escape_markdown(note)}" for note in facts.notes)
    yield f"## Contents\n\n{_contents(files)}"
    if any(file.path == LAYERS for file in files):
        yield f"## Reading it\n\n{READING}"
    yield f"## Data and models\n\n{_sources(run)}"
    yield (
        f"The licence of this export is given as `{facts.licence}`. It must allow for those of the "
        "corpus and of the models: where these are unknown, look them up before you publish it."
    )
    yield methods(run, SECTIONS).replace("\n## ", "\n### ").replace("# Methods", "## Methods", 1)
    yield f"## Spec\n\n```yaml\n{_spec(run)}```"
    yield _citation()
    yield (
        f"## Checksums\n\n`sha256sum -c {SUMS}` compares all of them.\n\n{_checksums(files)}"
    )  # fmt: skip


def _contents(files: Sequence[WrittenFile]) -> str:
    rows = [
        ("tables/", "metrics (a row per cell), layers (a row per layer, with intervals), models, "
                    "differences, and the tables of optional analyses"),
        (PREDICTIONS, "a row per test utterance, target, probe, seed and layer"),
        (LAYERS, "the file, width and place of each layer"),
        ("activations/", "a folder per model: index.parquet, and one tensor (utterances, width) "
                         "per layer"),
    ]  # fmt: skip
    present = [row for row in rows if any(file.path.startswith(row[0]) for file in files)]
    return _table(("File", "Holds"), present)


def _sources(run: Run) -> str:
    corpus = run.spec.corpus
    speakers = run.utterances["speaker_id"].nunique()
    size = f"{len(run.utterances)} utterances of {speakers} speakers"
    rows = [("corpus", corpus.kind, size, corpus_licence(corpus))]
    for model in run.plan.models:
        settings = model.extract.model
        source = source_of(settings)
        origin = _short(source) if source else settings.kind
        about = f"{origin}, weights {model.digest[:DIGEST]}"
        rows.append((model.name, model.architecture, about, model_licence(settings)))
    return _table(("Name", "Kind", "Identified by", "Licence"), rows)


def _citation() -> str:
    version = metadata.version(DISTRIBUTION)
    entry = (
        f"@software{{probing_sweep,\n  title = {{{DISTRIBUTION}}},\n"
        f"  author = {{{{The {DISTRIBUTION} developers}}}},\n  version = {{{version}}}\n}}"
    )
    return f"## Citation\n\n```bibtex\n{entry}\n```"


def _checksums(files: Sequence[WrittenFile]) -> str:
    rows = [(file.path, str(file.n_bytes), file.sha256) for file in files]
    return _table(("File", "Bytes", "SHA-256"), rows)


def _table(header: tuple[str, ...], rows: Sequence[tuple[str, ...]]) -> str:
    cells = tuple(tuple(map(Cell, row)) for row in rows)
    return to_markdown([Table(header, (False,) * len(header), cells)], []).rstrip("\n")


def _revision(run: Run) -> str | None:
    sessions = run.provenance.get("runs", [])
    git = sessions[-1].get("git") if sessions else None
    return git["revision"] if git else None


def _spec(run: Run) -> str:
    """Return the resolved spec, without secrets and without the folders of this machine."""
    values = _without_folders(run.spec.model_dump(mode="json"))
    return without_secrets(yaml.safe_dump(values, sort_keys=False, allow_unicode=True))


def _without_folders(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _without_folders(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_without_folders(item) for item in value]
    return _short(value) if isinstance(value, str) else value


def _short(text: str) -> str:
    """Shorten an absolute path to its last part."""
    path = PurePath(text)
    return f"…/{path.name}" if path.is_absolute() and path.name else text
