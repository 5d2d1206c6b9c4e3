"""Methods text: corpus, splits, skipped utterances and targets."""

import re
from collections.abc import Iterator

import pandas as pd

from jobs.audio.segments import split_span, split_tempo
from jobs.corpus.csv_settings import CsvSettings
from jobs.corpus.espeak.settings import EspeakSettings
from jobs.corpus.lhotse_settings import LhotseSettings
from jobs.corpus.librispeech_settings import LibriSpeechSettings
from jobs.corpus.settings import CorpusSettings
from jobs.corpus.summary import SECONDS_PER_HOUR, describe_split
from jobs.corpus.table import MIXED, RESAMPLED
from jobs.targets.measurements import MEASUREMENTS
from jobs.targets.registry import TARGETS, Target
from sweep.plan.make_plan import used_splits
from sweep.report.methods.wording import capitalised, plain
from sweep.results.run import Run
from sweep.wording import counted, listed

SUBSETS = re.compile(r"(dev|test)-(clean|other)|train-(clean-100|clean-360|other-500)")
"""Names of LibriSpeech's own subsets; other corpora may have its layout."""


def sentences(run: Run) -> Iterator[str]:
    """Describe the corpus and the targets."""
    table = run.utterances
    yield from _source(run.spec.corpus)
    splits = [_split(name, table[table["split"] == name]) for name in used_splits(run.spec, table)]
    yield f"The corpus consisted of {listed(splits)}."
    skipped = [one for one in run.skipped if split_tempo(one.path)[1] is None]
    excluded = [one for one in skipped if one.is_excluded]
    if excluded:
        yield f"The spec excluded {counted(len(excluded), 'utterance')}."
    if len(skipped) > len(excluded):
        unusable = counted(len(skipped) - len(excluded), "utterance")
        yield f"{capitalised(unusable)} could not be used."
    yield from _audio(run)
    for target in run.plan.targets:
        yield _target(run, target)
    yield from _measurements(run)


def _source(corpus: CorpusSettings) -> Iterator[str]:
    """Say where the speech is from, and by which lengths utterances were chosen."""
    if isinstance(corpus, LibriSpeechSettings):
        subsets = {split: listed(map(plain, names)) for split, names in corpus.subsets().items()}
        if all(SUBSETS.fullmatch(name) for names in corpus.subsets().values() for name in names):
            shown = "; ".join(f"{plain(split)}: {names}" for split, names in subsets.items())
            yield f"The speech was taken from LibriSpeech (Panayotov et al. 2015; {shown})."
        else:
            yield "The speech was read from folders in the layout of LibriSpeech."
    elif isinstance(corpus, EspeakSettings):
        yield (
            "The speech was synthetic (espeak-ng; seed "
            f"{corpus.seed}, {counted(corpus.utterances_per_speaker, 'utterance')} of each voice), "
            "so nothing here is about human speakers."
        )
    elif isinstance(corpus, CsvSettings):
        yield "Recordings, speakers and splits were read from a table."
    elif isinstance(corpus, LhotseSettings):
        yield "Recordings, speakers and splits were read from lhotse manifests."
    limits = [
        f"{what} {seconds:g} s"
        for what, seconds in (
            ("shorter than", corpus.min_seconds),
            ("longer than", corpus.max_seconds),
        )
        if seconds is not None
    ]
    if limits:
        yield f"Utterances {' or '.join(limits)} were excluded."


def _audio(run: Run) -> Iterator[str]:
    """Say how audio was read and converted, as far as the run has a record of it."""
    if "audio" not in run.provenance:
        return
    notes: list[str] = run.provenance["audio"]
    conversions = {
        RESAMPLED: "with a polyphase filter (scipy.signal.resample_poly, default Kaiser window)",
        MIXED: "by averaging the channels",
    }
    converted = False
    for note in notes:
        for conversion, way in conversions.items():
            if f" are {conversion}: " in note:
                counts, _, formats = note.partition(f" are {conversion}: ")
                yield f"{counts} were {conversion} {way}: {formats}."
                converted = True
    if not converted:
        yield "All audio was mono at 16 kHz."
    if run.utterances["audio_path"].map(lambda path: split_span(path)[1] is not None).any():
        yield "Utterances were segments of longer recordings."


def _measurements(run: Run) -> Iterator[str]:
    """Say how the targets that are measured in the audio were measured, each measurement once."""
    known = (known_target(run, name) for name in run.plan.targets)
    names = dict.fromkeys(target.measurement for target in known if target is not None)
    for name in names:
        if name and MEASUREMENTS[name].method:
            yield MEASUREMENTS[name].method


def known_target(run: Run, name: str) -> Target | None:
    """Return the target called ``name``; None for a column of the corpus, even of that name."""
    own = run.provenance.get("columns", [])
    return None if name in own and name != "sex" else TARGETS.get(name)


def _split(name: str, rows: pd.DataFrame) -> str:
    hours = float(rows["seconds"].sum()) / SECONDS_PER_HOUR
    length = f"{hours:.1f} h" if hours >= 1 else f"{hours * 60:.1f} min"
    speakers = counted(rows["speaker_id"].nunique(), "speaker")
    return f"the {plain(name)} split ({counted(len(rows), 'utterance')} of {speakers}, {length})"


def _target(run: Run, name: str) -> str:
    known = known_target(run, name)
    what = known.description if known else "a column of the corpus"
    what = re.split(r":|; none|; undefined", what)[0]
    measures = describe_split(run.utterances, [name])
    missing = measures.get(f"{name} missing")
    lacking = (
        [f"{counted(int(missing), 'utterance')} had none and did not count"] if missing else []
    )
    if name in run.plan.classes:
        n_classes = len(run.plan.classes[name])
        details = ["1 class" if n_classes == 1 else f"{n_classes} classes"]
        share = measures.get(f"{name} majority")
        if share is not None and n_classes > 1:
            details.append(f"the largest with {100 * share:.0f} % of the utterances")
    else:
        unit = f" {known.unit}" if known and known.unit else ""
        details = _distribution(measures, name, unit)
        values = run.utterances[name].dropna()
        if len(values):
            details.append(f"range {values.min():.3g} to {values.max():.3g}{unit}")
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
