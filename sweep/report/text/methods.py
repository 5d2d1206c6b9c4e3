"""``report/methods.md``: what was done, as the methods section of a paper states it."""

from collections.abc import Iterator, Sequence
from pathlib import Path

import pandas as pd

from jobs.audio.segments import split_tempo
from jobs.corpus.summary import SECONDS_PER_HOUR, describe_split
from jobs.models import is_baseline, untrained_seed
from jobs.models.precision import precision_of
from jobs.probes import PROBES
from jobs.protocol.settings import KFoldProtocol, SplitsProtocol
from jobs.storage.atomic import write_text
from jobs.targets.registry import TARGETS
from sweep.plan.make_plan import used_parts
from sweep.plan.plan import PlannedModel
from sweep.report.tables.markup import escape_markdown
from sweep.report.text.probes import probe_sentence
from sweep.report.text.references import REFERENCES
from sweep.results.run import Run
from sweep.wording import counted

DIGEST = 12
"""Digits of a digest of weights that are shown."""
_WORDS = ("no", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten")


def write_methods(path: Path, run: Run) -> None:
    """Write the methods of ``run`` as Markdown, with the references that they cite."""
    write_text(path, methods(run))


def methods(run: Run) -> str:
    """The methods section: corpus, models, probes, protocol, statistics, software, references."""
    sections = {
        "Data": _data(run),
        "Representations": _representations(run),
        "Probes": _probes(run),
        "Evaluation": _evaluation(run),
        "Statistics": _statistics(run),
        "Software": _software(run),
    }
    texts = {title: " ".join(sentences) for title, sentences in sections.items()}
    cited = [
        reference
        for name, reference in REFERENCES.items()
        if any(f"{name}" in text for text in texts.values())
    ]
    parts = [f"# Methods\n\nGenerated from the plan and the provenance of {_text(run.plan.name)}."]
    parts += [f"## {title}\n\n{text}" for title, text in texts.items() if text]
    parts += ["## References\n\n" + "\n".join(f"- {reference}" for reference in cited)]
    return "\n\n".join(parts) + "\n"


def _data(run: Run) -> Iterator[str]:
    kind = run.spec.corpus.kind
    table = run.utterances
    source = {
        "librispeech": "The speech was taken from LibriSpeech (Panayotov et al. 2015).",
        "espeak": "The speech was synthetic (espeak-ng): nothing here is about human speakers.",
    }.get(kind, "")
    if source:
        yield source
    parts = [_part(part, table[table["split"] == part]) for part in used_parts(run.spec, table)]
    yield f"The corpus consisted of {_listed(parts)}."
    skipped = [one for one in run.skipped if split_tempo(one.path)[1] is None]
    if skipped:
        yield f"{_sentence(counted(len(skipped), 'utterance'))} could not be used."
    for target in run.plan.targets:
        yield _target(run, target)


def _part(name: str, rows: pd.DataFrame) -> str:
    hours = float(rows["seconds"].sum()) / SECONDS_PER_HOUR
    length = f"{hours:.1f} h" if hours >= 1 else f"{hours * 60:.1f} min"
    speakers = rows["speaker_id"].nunique()
    utterances = f"{counted(len(rows), 'utterance')} of {counted(speakers, 'speaker')}"
    return f"the part {_text(name)} ({utterances}, {length})"


def _target(run: Run, name: str) -> str:
    known = TARGETS.get(name)
    what = known.description if known else "a column of the corpus"
    what = what.partition(":")[0].partition("; none")[0]
    measures = describe_split(run.utterances, [name])
    missing = measures.get(f"{name} missing")
    lacking = f"; {counted(int(missing), 'utterance')} had none" if missing else ""
    if name in run.plan.classes:
        classes = counted(len(run.plan.classes[name]), "class").replace("classs", "classes")
        return f"The target {_text(name)} stands for {_text(what)} ({classes}{lacking})."
    mean, spread, share = (measures[f"{name} {key}"] for key in ("mean", "SD", "ICC"))
    unit = f" {known.unit}" if known and known.unit else ""
    numbers = [f"mean {mean:.3g}{unit}"] if mean is not None else []
    numbers += [f"SD {spread:.3g}{unit}"] if spread is not None else []
    numbers += [f"{100 * max(share, 0):.0f} % of its variance between speakers"] if share else []
    return f"The target {_text(name)} stands for {_text(what)} ({', '.join(numbers)}{lacking})."


def _representations(run: Run) -> Iterator[str]:
    models = [m for m in run.plan.models if not is_baseline(m.extract.model)]
    subject = "model was" if len(models) == 1 else "models were"
    yield f"{_sentence(_count(len(models)))} {subject} probed: {_listed(map(_model, models), ';')}."
    features, extract = run.spec.features, models[0].extract
    pooled = {
        "mean": "averaged over time",
        "mean+std": "reduced to their mean and standard deviation over time",
        "channels": "averaged over time and frequency",
    }[extract.pooling]
    yield (
        "Every layer was read in one forward pass with frozen weights, and its activations were "
        f"{pooled}, which gave one vector an utterance ({_kept(run)})."
    )
    precisions = {m.name: precision_of(m.extract.model) for m in models}
    for precision in sorted({*precisions.values()} - {"fp32"}):
        who = [_text(name) for name, used in precisions.items() if used == precision]
        yield f"{_listed(who)} computed in {precision}."
    if features.max_frames is not None:
        crop = {"start": "the first", "centre": "the middle", "windows": "windows of"}
        yield f"Networks were given {crop[features.crop]} {features.max_frames} frames of 10 ms."
    if features.pad_to is not None:
        yield f"Shorter input was padded with zeros to {features.pad_to} frames."


def _kept(run: Run) -> str:
    dtype = run.spec.dtype
    if run.spec.store == "activations":
        return f"stored as {dtype}"
    parts = "all parts" if run.plan.scored_by_sums else "the parts that were not tested"
    return f"as {dtype}; of {parts} sufficient statistics were kept, summed in float64"


def _model(model: PlannedModel) -> str:
    settings = model.extract.model
    seed = untrained_seed(settings)
    weights = "trained" if seed is None else f"untrained, seed {seed}"
    size = f"{model.n_parameters / 1e6:.3g} M parameters"
    layers = counted(len(model.layers), "layer")
    digest = f"weights {model.digest[:DIGEST]}"
    architecture = _text(model.architecture)
    return f"{_text(model.name)} ({architecture}, {weights}, {size}, {layers}, {digest})"


def _probes(run: Run) -> Iterator[str]:
    validation = _validation(run)
    for name, settings in run.plan.probes.items():
        targets = [t for t, probe in run.plan.pairs() if probe == name]
        named = "" if name == settings.kind else f", here called {_text(name)}"
        sentence = probe_sentence(settings, validation)[:-1]
        if run.plan.classes and len(PROBES[settings.kind].predicts) < 2:
            sentence = f"For {_listed(map(_text, targets))}, {sentence[:1].lower()}{sentence[1:]}"
        yield f"{sentence}{named}."
    yield "Activations were standardised on the training part alone."


def _validation(run: Run) -> str | None:
    """What the part is called that hyperparameters are chosen on; None: there is none."""
    protocol = run.plan.protocol
    if isinstance(protocol, SplitsProtocol):
        return None if protocol.validation is None else "validation part"
    return "validation fold" if protocol.folds > 2 else None


def _evaluation(run: Run) -> Iterator[str]:
    protocol = run.plan.protocol
    if isinstance(protocol, SplitsProtocol):
        chosen = protocol.validation
        choice = f", hyperparameters chosen on {_text(chosen)}" if chosen else ""
        yield (
            f"Probes were trained on {_text(protocol.train)}{choice} and scored on "
            f"{_text(protocol.test)}."
        )
    else:
        yield _folds(protocol)
    part = "part" if isinstance(protocol, SplitsProtocol) else "fold"
    if protocol.allow_speaker_overlap:
        yield f"A speaker could be in more than one {part}."
    else:
        yield f"No speaker was in more than one {part}."
    if any(run.plan.kind(target) == "regression" for target in run.plan.targets):
        yield (
            "R² was measured against the mean of the training targets, so that 0 is the score of "
            "predicting that mean."
        )
    if run.plan.classes:
        yield "Classes were scored by accuracy, beside that of the training part's largest class."
    yield from _controls(run)


def _folds(protocol: KFoldProtocol) -> str:
    """What each fold was for, as `jobs.protocol.folds.make_folds` deals them out."""
    others = protocol.folds - 2
    trained = "one was" if others == 1 else f"{_count(others)} were"
    roles = (
        f"the next one was the validation fold, and the other {trained} the training part"
        if others
        else "the other one was the training part, and there was no validation fold"
    )
    return (
        f"All parts were pooled and scored by {_count(protocol.folds)}-fold cross-validation, with "
        f"whatever shared a value of {_text(protocol.group)} kept in one fold: each fold was "
        f"tested once, {roles}."
    )


def _controls(run: Run) -> Iterator[str]:
    if "shuffled" in run.plan.controls:
        yield (
            "As a control, the same probes were trained and scored on targets shuffled within each "
            "part; selectivity is the difference (after Hewitt & Liang 2019)."
        )
    if "speaker" in run.plan.controls:
        yield (
            "As another control, they were trained and scored on a random value for every speaker."
        )
    others = [name for name in run.spec.baselines if name != "mean"]
    known = {
        "duration": "the duration of the utterance",
        "fbank": "mean and standard deviation of the log-mel filter bank, the models' input",
    }
    if others:
        shown = _listed(known[name] for name in others)
        yield f"As baselines, the same probes were given {shown}."
    yield (
        "Scores are set beside those of the speaker mean, which predicts a tested utterance by the "
        "mean (of classes, the most frequent one) of the speaker's other tested utterances."
    )


def _statistics(run: Run) -> Iterator[str]:
    if run.plan.scored_by_sums:
        yield from _statistics_of_folds()
    else:
        yield from _statistics_of_speakers(run)
    if run.spec.similarity is not None:
        words = {"cka": "unbiased linear CKA (Kornblith et al. 2019)",
                 "pwcca": "projection-weighted CCA (Morcos et al. 2018)"}  # fmt: skip
        shown = _listed(words[measure] for measure in run.spec.similarity.measures)
        yield f"Layers were compared with each other by {shown}."
    if run.spec.tempo is not None:
        factors = _listed(f"{factor:g}" for factor in run.spec.tempo.factors)
        yield (
            f"Tested utterances were played at {factors} times their rate with their pitch kept "
            "(Signalsmith Stretch), and the fitted probes asked again. Intervals of what they "
            "answered are those of Student's t with a jackknife over speakers (Efron & Stein 1981)"
            f"{', not over folds' * run.plan.scored_by_sums}."
        )


def _statistics_of_folds() -> Iterator[str]:
    yield (
        "Only sums over each fold were kept, no prediction: intervals hold 95 % and come from a "
        "jackknife over folds, which are groups of speakers (Wolter 2007), with Student's t and at "
        "most one degree of freedom less than there are folds, fewer where folds are of unequal "
        "size or one of them decides the standard error (Satterthwaite 1946; O'Neill 2014)."
    )
    yield (
        "The score of a model at its best layer is that on folds that had no part in choosing the "
        "layer, and its interval repeats the choice without each fold."
    )
    yield (
        "Layers were compared with the best of their model by multiple comparisons with the best "
        "(Hsu 1984), with Bonferroni's correction. Other differences were paired over the same "
        "folds, tested two-sided with standard errors over folds, and corrected by Holm's method "
        "(Holm 1979) within each kind of comparison, target and probe."
    )


def _statistics_of_speakers(run: Run) -> Iterator[str]:
    resamples = run.spec.bootstrap.resamples
    scales = []
    if any(run.plan.kind(target) == "regression" for target in run.plan.targets):
        scales += ["the logarithm of errors and of the share that R² leaves", "Fisher's z"]
    if run.plan.classes:
        scales += ["log odds of accuracies"]
    exact = (
        ", and accuracies at most those of exact binomial intervals for as many draws as effective "
        "speakers (Korn & Graubard 1998)"
    )
    yield (
        "Intervals hold 95 % and are those of Student's t over speakers, each with all its "
        f"utterances, on a scale where scores are about normal ({_listed(scales)}): standard "
        "errors come from a jackknife over speakers (Efron & Stein 1981; MacKinnon et al. 2023), "
        "degrees of freedom allow for speakers of unequal size and unlike errors (Satterthwaite "
        f"1946; O'Neill 2014){exact if run.plan.classes else ''}."
    )
    yield (
        "The score of a model at its best layer is that on speakers who had no part in choosing "
        f"the layer; {resamples} bootstrap resamples of speakers (seed 0), the same for all layers "
        "and models, repeat the choice, and its interval is wider by as much as that adds (after "
        "Tsamardinos et al. 2018)."
    )
    yield (
        "Layers were compared with the best of their model by multiple comparisons with the best "
        "(Hsu 1984), with the bootstrap's reference (White 2000). Other differences were paired "
        "over the same speakers, tested two-sided with standard errors over speakers, and "
        "corrected by Holm's method (Holm 1979) within each kind of comparison, target and probe."
    )


def _software(run: Run) -> Iterator[str]:
    sessions = run.provenance.get("runs", [])
    if not sessions:
        return
    last = sessions[-1]
    packages = [f"{name} {version}" for name, version in last["packages"].items() if version]
    yield f"Computed with Python {last['python']}, {_listed(packages)}."
    git = last.get("git")
    if git:
        changed = " with changes that were not committed" if git["dirty"] else ""
        yield f"The code was at revision {git['revision'][:DIGEST]}{changed}."
    hardware = last["hardware"]
    gpus = hardware.get("gpus")
    machine = _listed(gpus) if gpus else f"{hardware['processor']}, {hardware['cores']} cores"
    yield f"It ran on {_text(machine)}."


def _count(number: int) -> str:
    return _WORDS[number] if number < len(_WORDS) else str(number)


def _sentence(text: str) -> str:
    return text[:1].upper() + text[1:]


def _listed(items: "Iterator[str] | Sequence[str] | map[str]", mark: str = ",") -> str:
    """``a, b and c``."""
    words = list(items)
    if len(words) < 2:
        return "".join(words)
    return f"{f'{mark} '.join(words[:-1])}{';' if mark == ';' else ''} and {words[-1]}"


def _text(name: str) -> str:
    return escape_markdown(str(name))
