"""Leave out the utterances that a spec excludes, in the same way for every kind of corpus."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from fnmatch import translate
from pathlib import Path

from jobs.corpus.assemble import absolute
from jobs.corpus.encodings import decode_anyway
from jobs.corpus.settings import CorpusSettings
from jobs.corpus.skipped import EXCLUDED, Skipped
from jobs.corpus.table import Corpus, CorpusError

_WILDCARDS = re.compile(r"[*?\[]")
_SHOWN = 3
"""Number of entries without an utterance that a note names."""


def select_utterances(corpus: Corpus, settings: CorpusSettings) -> Corpus:
    """Apply ``exclude``, ``min_seconds`` and ``max_seconds``.

    Returns:
        The corpus without the excluded utterances, which are among the skipped; a remark names the
        entries of ``exclude`` that match no utterance.

    Raises:
        CorpusError: the file of ``exclude`` cannot be read.
    """
    if settings.exclude == () and settings.min_seconds is None and settings.max_seconds is None:
        return corpus
    excluded = _Excluded.of(_entries(settings.exclude))
    table = corpus.utterances
    reasons = [
        excluded.reason(name) or _wrong_length(settings, seconds)
        for name, seconds in zip(table["utterance_id"], table["seconds"], strict=True)
    ]
    left_out = [
        Skipped(name, path, reason)
        for name, path, reason in zip(
            table["utterance_id"], table["audio_path"], reasons, strict=True
        )
        if reason is not None
    ]
    # An excluded utterance is not reported as unusable as well.
    before = [
        replace(one, reason=excluded.reason(one.utterance_id) or one.reason)
        for one in corpus.skipped
    ]
    kept = table[[reason is None for reason in reasons]].reset_index(drop=True)
    names = set(kept["utterance_id"])
    return replace(
        corpus,
        utterances=kept,
        skipped=(*before, *left_out),
        remarks=(*corpus.remarks, *_unmatched(excluded, [*before, *left_out])),
        formats={name: one for name, one in corpus.formats.items() if name in names},
    )


def _entries(exclude: Path | tuple[str, ...]) -> list[str]:
    if not isinstance(exclude, Path):
        return list(exclude)
    path = absolute(exclude)
    try:
        text = decode_anyway(path.read_bytes())
    except (OSError, ValueError) as error:
        raise CorpusError(
            f"corpus.exclude: no list at {path} ({error}): expected a file with an id on each "
            "line, or a list of ids and patterns: exclude: [id, 'pattern-*']"
        ) from error
    lines = re.split(r"\r\n|\r|\n", text)
    return [line.strip() for line in lines if line.strip()]


@dataclass(frozen=True)
class _Excluded:
    """Entries of ``exclude``: ids, and patterns."""

    ids: frozenset[str]
    patterns: tuple[tuple[str, re.Pattern[str]], ...]

    @classmethod
    def of(cls, entries: Sequence[str]) -> "_Excluded":
        patterns = [entry for entry in entries if _WILDCARDS.search(entry)]
        compiled = tuple((entry, re.compile(translate(entry))) for entry in patterns)
        return cls(frozenset(entries), compiled)

    def reason(self, name: str) -> str | None:
        """Return why an utterance is excluded, None if it is not."""
        if name in self.ids:
            return f"{EXCLUDED} by name: listed in corpus.exclude"
        for entry, pattern in self.patterns:
            if pattern.match(name):
                return f"{EXCLUDED} by name: matches {entry!r} in corpus.exclude"
        return None


def _wrong_length(settings: CorpusSettings, seconds: float) -> str | None:
    shortest, longest = settings.min_seconds, settings.max_seconds
    if shortest is not None and seconds < shortest:
        wanted = f"shorter than corpus.min_seconds, {shortest:g} s"
    elif longest is not None and seconds > longest:
        wanted = f"longer than corpus.max_seconds, {longest:g} s"
    else:
        return None
    return f"{EXCLUDED} by length: {seconds:.6g} s, {wanted}"


def _unmatched(excluded: _Excluded, skipped: Sequence[Skipped]) -> Iterator[str]:
    """Report entries of ``exclude`` that match no utterance, which may be misspelt."""
    names = {one.utterance_id for one in skipped if one.is_excluded}
    patterns = dict(excluded.patterns)
    unused = [entry for entry in sorted(excluded.ids - names) if entry not in patterns]
    unused += [
        entry
        for entry, pattern in excluded.patterns
        if entry not in names and not any(map(pattern.match, names))
    ]
    if unused:
        shown = ", ".join(unused[:_SHOWN]) + (", …" if len(unused) > _SHOWN else "")
        entries = len(excluded.ids)
        yield f"{len(unused)} of {entries} entries of corpus.exclude match no utterance: {shown}"
