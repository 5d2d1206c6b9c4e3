"""Methods text: corpus, splits, skipped utterances and targets."""

from collections.abc import Iterator

import pandas as pd

from jobs.audio.segments import split_tempo
from jobs.corpus.summary import SECONDS_PER_HOUR, describe_split
from jobs.targets.registry import TARGETS
from sweep.plan.make_plan import used_splits
from sweep.report.methods.wording import capitalised, listed, plain
from sweep.results.run import Run
from sweep.wording import counted

_SOURCES = {
    "librispeech": "The speech was taken from LibriSpeech (Panayotov et al. 2015).",
    "espeak": "The speech was synthetic (espeak-ng), so nothing here is about human speakers.",
}


def sentences(run: Run) -> Iterator[str]:
    """Describe the corpus and the targets."""
    table, kind = run.utterances, run.spec.corpus.kind
    if kind in _SOURCES:
        yield _SOURCES[kind]
    splits = [_split(name, table[table["split"] == name]) for name in used_splits(run.spec, table)]
    yield f"The corpus consisted of {listed(splits)}."
    skipped = [one for one in run.skipped if split_tempo(one.path)[1] is None]
    excluded = [one for one in skipped if one.is_excluded]
    if excluded:
        yield f"The spec excluded {counted(len(excluded), 'utterance')}."
    if len(skipped) > len(excluded):
        unusable = counted(len(skipped) - len(excluded), "utterance")
        yield f"{capitalised(unusable)} could not be used."
    for target in run.plan.targets:
        yield _target(run, target)


def _split(name: str, rows: pd.DataFrame) -> str:
    hours = float(rows["seconds"].sum()) / SECONDS_PER_HOUR
    length = f"{hours:.1f} h" if hours >= 1 else f"{hours * 60:.1f} min"
    speakers = counted(rows["speaker_id"].nunique(), "speaker")
    return f"the {plain(name)} split ({counted(len(rows), 'utterance')} of {speakers}, {length})"


def _target(run: Run, name: str) -> str:
    known = TARGETS.get(name)
    what = known.description if known else "a column of the corpus"
    what = what.partition(":")[0].partition("; none")[0]
    measures = describe_split(run.utterances, [name])
    missing = measures.get(f"{name} missing")
    lacking = [f"{counted(int(missing), 'utterance')} had none"] if missing else []
    if name in run.plan.classes:
        n_classes = len(run.plan.classes[name])
        details = ["1 class" if n_classes == 1 else f"{n_classes} classes"]
    else:
        details = _distribution(measures, name, f" {known.unit}" if known and known.unit else "")
    shown = "; ".join([", ".join(details), *lacking])
    return f"The target {plain(name)} is {plain(what)} ({shown})."


def _distribution(measures: dict[str, float | None], name: str, unit: str) -> list[str]:
    """Mean, SD and share of variance between speakers, as far as each is defined."""
    mean, spread, share = (measures[f"{name} {key}"] for key in ("mean", "SD", "ICC"))
    shown = [f"mean {mean:.3g}{unit}"] if mean is not None else []
    shown += [f"SD {spread:.3g}{unit}"] if spread is not None else []
    if share is not None:
        some = f"{100 * share:.0f} %" if share > 0 else "no detectable part"
        shown.append(f"{some} of its variance between speakers")
    return shown
