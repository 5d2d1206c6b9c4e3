"""The methods section says what was done, in sentences, and cites what it names."""

import re

import pandas as pd
import pytest

from jobs.audio.features import describe_fbank
from jobs.corpus.csv_settings import CsvSettings
from jobs.corpus.librispeech_settings import LibriSpeechSettings
from jobs.corpus.table import AudioFormat, Corpus
from jobs.models.waveform import describe_waveform
from jobs.probes import (
    CcaSettings,
    KnnSettings,
    LinearSettings,
    LogisticSettings,
    MdlSettings,
    MlpSettings,
    RidgeSettings,
)
from jobs.probes.settings import BaseProbeSettings
from jobs.protocol.folds import make_folds
from jobs.protocol.settings import KFoldProtocol
from jobs.targets.pitch import PITCH_METHOD, PITCH_RANGE
from jobs.targets.voice_activity import MIN_PAUSE_MS, SPEECH_METHOD
from sweep.report.build import build_report
from sweep.report.methods.document import methods
from sweep.report.methods.references import REFERENCES
from sweep.report.sections import SECTIONS
from sweep.report.text.footnotes import footnotes
from sweep.results.run import Run
from tests.sweep.report.test_build import make_run  # noqa: F401 (a fixture)

PROBES = [
    {"kind": "ridge"},
    {"kind": "mlp", "hidden": [64], "seeds": 2, "weight_decay": 0.1},
    {"kind": "cca", "name": "svcca"},
]


@pytest.fixture
def run(make_run):  # noqa: F811
    return make_run(lambda task, cell: None, probes=PROBES)


def test_it_is_in_the_runs_folder_and_says_what_the_plan_says(run):
    build_report(run)
    text = (run.folder.root / "report" / "methods.md").read_text()
    assert text == methods(run, SECTIONS)
    for said in (
        "12 utterances of 3 speakers",
        "20 utterances of 5 speakers",
        "Two models were probed: a (net, ",
        "trained on train and scored on test, with hyperparameters chosen on validation.",
        "No speaker was in more than one split.",
        "with a hidden layer of 64 units",
        "weight decay 0.1",
        "averaged over 2 seeds",
        ", here called svcca.",
        "targets shuffled within each split",
        "the duration of the utterance and the standard deviation over time of each bin of the",
    ):
        assert said in text, said


def test_targets_with_too_few_speakers_for_an_interval_are_named(run, monkeypatch):
    assert "Too few" not in methods(run) and not any("Too few" in one for one in footnotes(run))
    monkeypatch.setattr("sweep.report.text.footnotes.LEAST_UNITS", 6)
    assert "Too few test speakers for an interval or a p-value (5 for cps)" in methods(run)
    assert any(
        one.startswith("Too few test speakers for an interval or a p-value: 5 for cps.")
        for one in footnotes(run)
    )


def test_cells_without_validation_losses_are_said_to_be_compared_on_other_speakers(run):
    text = methods(run)
    assert "Models were compared at layers chosen on speakers that were not used to score" in text
    assert "chosen by its loss on the validation split" not in text
    losses = run.metrics.assign(validation_mse=1.0 + run.metrics["layer_index"])
    anew = Run.open(run.folder.root)
    anew.__dict__["metrics"] = losses  # as if the ledger had them
    text = methods(anew)
    assert "the layer of each was chosen by its loss on the validation split; the two" in text
    assert "not used to score them" not in text


def test_what_is_cited_is_listed_and_what_is_listed_is_cited(run):
    text, references = methods(run).split("## References")
    cited = {name: re.search(rf"{name}[^;()]*? ((?:19|20)\d\d)", text) for name in REFERENCES}
    for name, found in cited.items():
        assert (found is not None) == (REFERENCES[name] in references), name
        if found:
            assert f"({found[1]})" in REFERENCES[name], name
    assert cited["Hoerl"] and not cited["Voita"]


def test_sentences_begin_and_end_as_sentences_do(run):
    body = [line for line in methods(run).split("\n") if line and line[0] not in "#-"]
    for paragraph in body:
        assert paragraph[0].isupper() and paragraph.endswith("."), paragraph
        assert ".." not in paragraph and "  " not in paragraph and " ," not in paragraph


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        (RidgeSettings(), "one of 19 from 0.0001 to 100000, chosen on the validation split."),
        (RidgeSettings(alphas=(2.0,)), "L2 penalty 2."),
        (RidgeSettings(choose="loo"), "chosen by leaving out single training utterances."),
        (LogisticSettings(), "Multinomial logistic regression, L2 penalty one of 15"),
        (KnnSettings(k=(5,)), "by euclidean distance, k = 5."),
        (KnnSettings(k=(1, 5)), "k = one of 1, 5, chosen on the validation split."),
        (CcaSettings(variance=0.9), "carry 90 % of the variance"),
        (MdlSettings(seeds=3), "numbers sent to 1 % of their SD, repeated with 3 orders"),
        (MlpSettings(hidden=(8, 4)), "with hidden layers of 8 and 4 units (ReLU)"),
        (
            MlpSettings(dropout=0.1, seeds=1),
            "(ReLU, dropout 0.1), trained on the mean squared error with Adam",
        ),
        (LinearSettings(early_stopping=False, epochs=7), "7 epochs, averaged over 3 seeds."),
    ],
)
def test_a_probe_describes_itself_with_the_settings_that_matter(settings, expected):
    assert expected in settings.describe("validation split")


def test_without_a_validation_split_inner_folds_choose():
    assert RidgeSettings().describe(None).endswith("chosen on inner folds of the training split.")


def test_a_probe_without_a_description_of_its_own_lists_its_settings():
    class NearestMeanSettings(BaseProbeSettings):
        kind: str = "nearest-mean"
        shrinkage: float = 0.5

    assert NearestMeanSettings().describe(None) == "A nearest-mean probe (shrinkage 0.5)."


@pytest.mark.parametrize(
    ("folds", "roles", "chosen"),
    [
        (2, "the other one was used for training", "on inner folds"),
        (3, "next one was the validation fold, and the other one was", "on the validation fold"),
        (5, "next one was the validation fold, and the other three were", "on the validation fold"),
    ],
)
def test_with_folds_it_says_what_each_was_for(make_run, folds, roles, chosen):  # noqa: F811
    run = make_run(
        lambda task, cell: None, probes=PROBES, protocol={"kind": "kfold", "folds": folds}
    )
    text = methods(run)
    assert roles in text and chosen in text
    assert "No speaker was in more than one fold." in text and "on the validation split" not in text
    table = pd.DataFrame({"speaker_id": list("abcde") * 2})  # the folds that probes really get
    (fold, *_) = make_folds(KFoldProtocol(folds=folds), table)
    parts = [set(table["speaker_id"][rows]) for rows in (fold.test, fold.validation, fold.train)]
    assert bool(parts[1]) == ("validation fold, and" in text)
    assert sum(map(len, parts)) == 5


def test_shared_speakers_are_counted_and_no_score_is_said_to_be_about_others(make_run):  # noqa: F811
    shared = {"kind": "kfold", "folds": 5, "group": "utterance_id", "allow_speaker_overlap": True}
    run = make_run(lambda task, cell: None, probes=PROBES, protocol=shared)
    build_report(run)
    text = methods(run, SECTIONS)
    assert "Of the 10 test speakers, 10 were also in the training split" in text
    assert "No speaker was in more than one" not in text and "of the training speakers" not in text
    root = run.folder.root
    page, table = ((root / name).read_text() for name in ("report.html", "tables/models.md"))
    assert "10 of 10 test speakers are also in the training split" in table
    assert "Speakers in both splits" in page
    for said in (text, page, table, (root / "report" / "findings.txt").read_text()):
        assert not re.search("on (other|unseen|new) speakers", said)


def test_a_permission_to_share_speakers_that_none_uses_is_not_reported_as_sharing(make_run):  # noqa: F811
    allowed = {"kind": "splits", "allow_speaker_overlap": True}
    run = make_run(lambda task, cell: None, probes=PROBES, protocol=allowed)
    assert "No test speaker was in the training split." in methods(run, SECTIONS)


def with_facts(run, **facts):
    """The run with these values in its provenance."""
    run.__dict__["provenance"] = {**run.provenance, **facts}
    return run


PACKAGES = (
    "torch", "ray", "wespeaker-unofficial", "transformers", "lhotse", "espeakng-loader",
    "praat-parselmouth", "silero-vad", "python-stretch",
)  # fmt: skip
SESSION = {
    "python": "3.11.7",
    "packages": dict.fromkeys(PACKAGES, "1.0"),
    "hardware": {"processor": "a processor", "cores": 2},
    "arguments": [],
}


@pytest.mark.parametrize(
    ("notes", "said", "unsaid"),
    [
        ([], ["All audio was mono at 16 kHz."], ["resample_poly", "averaging the channels"]),
        (
            ["5 of 12 utterances are resampled to 16 kHz: 5 from 8000 Hz"],
            ["5 of 12 utterances were resampled to 16 kHz with a polyphase filter "
             "(scipy.signal.resample_poly, default Kaiser window): 5 from 8000 Hz."],
            ["All audio was", "averaging the channels"],
        ),
        (
            ["2 of 12 utterances are mixed to mono: 2 of 2 channels", "cps: something else"],
            ["2 of 12 utterances were mixed to mono by averaging the channels: 2 of 2 channels."],
            ["All audio was", "resample_poly", "something else"],
        ),
    ],
)  # fmt: skip
def test_only_conversions_that_were_made_are_described(run, notes, said, unsaid):
    text = methods(with_facts(run, audio=notes))
    assert all(sentence in text for sentence in said)
    assert not any(words in text for words in unsaid)


def test_conversions_are_described_as_the_corpus_reports_them(run):
    formats = {"a": AudioFormat(8000, 2, 1.0), "b": AudioFormat(16_000, 2, 1.0)}
    notes = Corpus(pd.DataFrame(index=range(3)), (), formats=formats).notes
    text = methods(with_facts(run, audio=list(notes)))
    assert "1 of 3 utterances were resampled to 16 kHz" in text
    assert "2 of 3 utterances were mixed to mono by averaging" in text


def test_only_packages_that_were_used_are_listed(run):
    text = methods(with_facts(run, runs=[{**SESSION, "executor": "inline"}]))
    assert "Python 3.11.7, torch 1.0" in text and "espeakng-loader 1.0" in text
    for unused in ("ray", "lhotse", "transformers", "praat-parselmouth", "silero-vad"):
        assert f"{unused} 1.0" not in text
    assert "ray 1.0" in methods(with_facts(run, runs=[{**SESSION, "executor": "local"}]))


@pytest.mark.parametrize(
    ("target", "method", "package"),
    [("f0_mean", PITCH_METHOD, "praat-parselmouth"), ("pause_ratio", SPEECH_METHOD, "silero-vad")],
)
def test_how_a_target_was_measured_is_said_unless_it_is_a_column_of_the_corpus(
    run, target, method, package
):
    run.__dict__["plan"] = run.plan.model_copy(update={"targets": {target: "digest"}})
    run.__dict__["utterances"] = run.utterances.assign(**{target: run.utterances["seconds"] * 40})
    session = {**SESSION, "executor": "inline"}
    text = methods(with_facts(run, runs=[session]))
    assert method in text and f"{package} 1.0" in text
    assert (("Boersma (1993)" in text) == (target == "f0_mean")) and "range " in text
    text = methods(with_facts(run, runs=[session], columns=[target]))
    assert method not in text and f"{package} 1.0" not in text
    assert "is a column of the corpus" in text


def test_the_methods_of_measuring_state_the_settings_of_the_code():
    low, high = PITCH_RANGE
    for words in (f"between {low:g} and {high:g} Hz", "every 10 ms", "Boersma 1993"):
        assert words in PITCH_METHOD
    assert f"pauses of at least {MIN_PAUSE_MS} ms" in SPEECH_METHOD


def test_the_input_of_networks_is_described_as_their_loaders_state_it(run):
    fbank = describe_fbank(64, "povey")
    assert fbank.startswith("64 log-mel") and "Povey window" in fbank and "within ±1" in fbank
    inputs = [fbank, describe_waveform(normalised=True)]
    networks = [m for m in run.plan.models if not m.name.startswith("baseline")]
    others = [m for m in run.plan.models if m not in networks]
    changed = [m.model_copy(update={"input": i}) for m, i in zip(networks, inputs, strict=True)]
    run.__dict__["plan"] = run.plan.model_copy(update={"models": (*changed, *others)})
    text = methods(run)
    for model, what in zip(changed, inputs, strict=True):
        assert f"{model.name} took {what}." in text
    same = [m.model_copy(update={"input": fbank}) for m in networks]
    run.__dict__["plan"] = run.plan.model_copy(update={"models": (*same, *others)})
    assert f"All networks took {fbank}." in methods(run)


def test_what_is_averaged_and_conditional_depends_on_folds_seeds_and_untrained_networks(make_run):  # noqa: F811
    single = methods(make_run(lambda task, cell: None, probes=[{"kind": "ridge"}]))
    assert "summed over folds" not in single and "averaged over seeds" not in single
    assert "about the choice of test speakers, given the networks and the probes" in single
    folds = {"kind": "kfold", "folds": 5}
    several = methods(make_run(lambda task, cell: None, probes=PROBES, protocol=folds))
    assert "Errors were summed over folds" in several
    assert "scores were averaged over seeds, not predictions" in several
    assert "counts summed over folds" not in several  # there are no classes


@pytest.mark.parametrize(
    ("probes", "sentence"),
    [
        ([{"kind": "ridge"}], "Activations were standardised on the training data alone."),
        (
            [{"kind": "ridge"}, {"kind": "mlp", "preset": "study"}],
            "Activations were standardised on the training data alone, except for mlp.",
        ),
        (
            [{"kind": "mlp"}],
            "Activations were standardised on the training data alone; so was the target for mlp.",
        ),
        ([{"kind": "mlp", "preset": "study"}], "Activations were not standardised."),
    ],
)
def test_standardisation_is_said_of_the_probes_that_standardise(make_run, probes, sentence):  # noqa: F811
    assert sentence in methods(make_run(lambda task, cell: None, probes=probes))


def test_a_probe_that_stops_early_says_on_what():
    assert "loss on the validation split, the best" in MlpSettings().describe("validation split")
    assert "on speakers left out of the training split" in MlpSettings().describe(None)


@pytest.mark.parametrize(
    ("corpus", "sentence"),
    [
        (
            LibriSpeechSettings(root="x", splits={"train": "dev-clean", "test": "test-clean"}),
            "LibriSpeech (Panayotov et al. 2015; train: dev-clean; test: test-clean).",
        ),
        (
            LibriSpeechSettings(root="x", splits={"test": "mine"}),
            "The speech was read from folders in the layout of LibriSpeech.",
        ),
        (CsvSettings(path="clips.csv"), "Recordings, speakers and splits were read from a table."),
        (
            CsvSettings(path="clips.csv", min_seconds=1, max_seconds=20),
            "Utterances shorter than 1 s or longer than 20 s were excluded.",
        ),
    ],
)
def test_the_corpus_is_named_and_chosen_lengths_are_said(run, corpus, sentence):
    run.__dict__["spec"] = run.spec.model_copy(update={"corpus": corpus})
    assert sentence in methods(run)
