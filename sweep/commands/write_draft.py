"""Write the draft of a spec with its schema, and check it as ``sweep validate`` does."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from jobs.storage.atomic import write_text
from jobs.storage.location import Location
from sweep.commands.prepare_spec import column_lines, corpus_line, prepare_spec
from sweep.commands.print_schema import schema_text
from sweep.drafts.draft import Draft, sweep_name
from sweep.drafts.librispeech import draft_of_librispeech
from sweep.drafts.models import draft_models
from sweep.drafts.table import draft_of_table
from sweep.drafts.write import SCHEMA, draft_yaml
from sweep.errors import UsageError
from sweep.state.run_folder import local_cache
from sweep.wording import counted


def write_draft(
    spec: Path | None,
    csv: Path | None,
    librispeech: Path | None,
    models: Sequence[str],
    audio: str | None,
    speaker: str | None,
    cache: Location,
) -> None:
    """Write a spec for a table or a LibriSpeech folder, and print the next commands.

    Args:
        spec: the file; None: named after the data, in the current folder.
        csv: a table with a row per recording.
        librispeech: a folder in LibriSpeech's layout.
        models: names of models.
        audio: column of the table with the audio files, if it is not to be found by its name.
        speaker: column of the table with the speakers, likewise.
        cache: the activation cache.

    Raises:
        UsageError: the file exists, or the data cannot be used.
        SpecError: the spec is written, and the data are not as it needs them.
    """
    draft = _draft(csv, librispeech, audio, speaker)
    path = spec or Path(f"{draft.name}.yaml")
    draft = replace(draft, name=sweep_name(path.stem))
    if path.exists():
        raise UsageError(f"{path} exists: give another name, as in `sweep init other.yaml …`")
    text = draft_yaml(draft, draft_models(models))
    write_text(path, text)
    write_text(path.with_name(SCHEMA), schema_text())
    print(f"wrote {path}, and {path.with_name(SCHEMA)} for editors")
    prepared = prepare_spec(path, (), local_cache(cache), measure=False)
    print(corpus_line(prepared))
    for line in column_lines(prepared.columns):
        print(line)
    cells = counted(prepared.plan.n_cells, "cell")
    print(f"valid: {counted(len(prepared.plan.models), 'model')}, {cells}. Next:")
    print(f"  sweep plan {path}    # what would run, and its cost")
    print(f"  sweep run {path}     # run it on this machine")


def _draft(
    csv: Path | None, librispeech: Path | None, audio: str | None, speaker: str | None
) -> Draft:
    if csv is not None:
        return draft_of_table(csv, audio, speaker)
    assert librispeech is not None
    return draft_of_librispeech(librispeech)
