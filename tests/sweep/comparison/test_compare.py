"""`sweep compare`: what differs between runs, in their settings and in their scores."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy.stats import t as student

from sweep import open_run
from sweep.comparison.scores import COLUMNS
from tests.support.tiny_run import TinyRun, tiny_run

STIFF = "probes=[{kind: ridge, alphas: [1000.0]}]"


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TinyRun]:
    """Three runs: one, one with another probe, and one that lacks a test utterance."""
    with tiny_run(tmp_path_factory.mktemp("compare") / "home") as tiny:
        corpus = pd.read_csv("corpus.csv")  # intervals need five speakers or more
        number = corpus["audio_path"].str.extract(r"(\d+)\.wav")[0].astype(int)
        corpus["speaker_id"] = corpus["split"] + (number // 2).astype(str)
        corpus.to_csv("corpus.csv", index=False)
        for name, more in (
            ("one", ()),
            ("stiff", ("--set", STIFF)),
            ("fewer", ("--set", "corpus.exclude=[test0]")),
        ):
            done = tiny.sweep(
                "run", "spec.yaml", "--inline", "--out", name, "--cache", "cache",
                "--display", "none", *more,
            )  # fmt: skip
            assert done.exit_code == 0, done.output
        yield tiny


def compared(tiny: TinyRun, *runs: str) -> Any:
    """The comparison as JSON."""
    done = tiny.sweep("compare", *runs, "--json")
    assert done.exit_code == 0, done.output
    return json.loads(done.stdout)


def r2_without(rows: pd.DataFrame, speaker: str | None, train_mean: float) -> float:
    """R² of predictions without a speaker."""
    kept = rows[rows["speaker_id"] != speaker]
    residual = ((kept["y_pred"] - kept["y_true"]) ** 2).sum()
    return float(1 - residual / ((kept["y_true"] - train_mean) ** 2).sum())


def test_settings_that_differ_are_said_and_no_others(tiny: TinyRun) -> None:
    assert compared(tiny, "one", "stiff")["settings"].keys() == {"probes.ridge.alphas"}
    settings = compared(tiny, "one", "fewer")["settings"]
    assert settings["corpus.exclude"] == {"one": "[]", "fewer": "[test0]"}
    assert settings["utterances"] == {"one": "36", "fewer": "35"}
    assert "name" not in settings


def test_differences_are_those_of_the_same_layer_with_a_jackknife_over_speakers(
    tiny: TinyRun,
) -> None:
    found = compared(tiny, "one", "stiff")
    rows = pd.DataFrame(found["scores"])
    assert rows.columns.tolist() == COLUMNS
    assert found["notes"] == []
    of_run = rows.set_index(["run", "model", "layer"])
    runs = {name: open_run(tiny.home / name) for name in ("one", "stiff")}
    table = runs["one"].utterances
    mean = float(table.loc[table["split"] == "train", "energy"].mean())
    for layer in ("0", "1"):
        predicted = [runs[name].predictions("b", layer, probe="ridge") for name in runs]
        speakers = sorted(set(predicted[0]["speaker_id"]))
        whole = [r2_without(one, None, mean) for one in predicted]
        left_out = [
            r2_without(predicted[1], name, mean) - r2_without(predicted[0], name, mean)
            for name in speakers
        ]
        row = of_run.loc[("stiff", "b", layer)]
        assert row["difference"] == pytest.approx(whole[1] - whole[0], abs=1e-5)
        n = len(speakers)
        error = np.sqrt((n - 1) / n * np.sum((left_out - np.mean(left_out)) ** 2))
        # The speakers are of one size, but differ in energy: t has 1 to n - 1 degrees of freedom.
        ends = np.array([row["difference_low"], row["difference_high"]]) - row["difference"]
        assert student.ppf(0.975, n - 1) * error - 1e-5 <= abs(ends).max()
        assert abs(ends).max() <= student.ppf(0.975, 1) * error + 1e-5
    assert rows.loc[rows["run"] == "one", "difference"].isna().all()


def test_other_test_utterances_give_scores_and_no_difference(tiny: TinyRun) -> None:
    found = compared(tiny, "one", "stiff", "fewer")
    rows = pd.DataFrame(found["scores"])
    assert set(rows["run"]) == {"one", "stiff", "fewer"}
    assert rows.loc[rows["run"] == "fewer", "value"].notna().all()
    assert rows.loc[rows["run"] == "fewer", "difference"].isna().all()
    assert found["notes"] == [
        "energy: not the same test utterances in one and fewer: no difference computed"
    ]


def test_page_markdown_and_table_hold_the_same_and_settings_come_first(
    tiny: TinyRun, tmp_path: Path
) -> None:
    out = tmp_path / "compared"
    for _ in range(2):
        done = tiny.sweep("compare", "one", "stiff", "--out", str(out))
        assert done.exit_code == 0, done.output
    assert done.stdout.index("alphas") < done.stdout.index("stiff − one")
    assert done.stdout.rstrip().endswith(str(out / "compare.html"))
    page, text = ((out / name).read_text() for name in ("compare.html", "compare.md"))
    for shown in (page, text):
        assert shown.index("probes.ridge.alphas") < shown.index("stiff − one")
    assert "data:image/svg+xml" in page
    table = pd.read_csv(out / "compare.csv", dtype={"layer": str})
    expected = pd.DataFrame(compared(tiny, "one", "stiff")["scores"])
    pd.testing.assert_frame_equal(table, expected.fillna(np.nan), check_dtype=False)
    assert {path.name for path in out.glob("compare_*")} == {
        "compare_energy.svg", "compare_energy.png", "compare_energy.pdf",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("runs", "message"),
    [(("one",), "two different runs"), (("one", "one"), "two different runs")],
)
def test_runs_that_cannot_be_compared_are_refused(
    tiny: TinyRun, runs: tuple[str, ...], message: str
) -> None:
    done = tiny.sweep("compare", *runs)
    assert (done.exit_code, message in done.stderr) == (2, True)


def test_files_of_something_else_are_left_alone(tiny: TinyRun, tmp_path: Path) -> None:
    (tmp_path / "compare.csv").write_text("mine")
    done = tiny.sweep("compare", "one", "stiff", "--out", str(tmp_path))
    assert done.exit_code == 2
    assert (tmp_path / "compare.csv").read_text() == "mine"
