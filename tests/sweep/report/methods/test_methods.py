"""The methods section says what was done, in sentences, and cites what it names."""

import re

import pandas as pd
import pytest

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
from sweep.report.build import build_report
from sweep.report.methods.document import methods
from sweep.report.methods.references import REFERENCES
from sweep.report.sections import SECTIONS
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
        "the duration of the utterance and mean and standard deviation of the log-mel filter bank",
    ):
        assert said in text, said


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
        (MlpSettings(dropout=0.1, seeds=1), "(ReLU, dropout 0.1), trained with Adam"),
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
    assert "No speaker was in more than one" not in text and "training speakers" not in text
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
