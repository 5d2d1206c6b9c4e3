"""The figures and the section of predictions at other rates."""

import numpy as np
import pandas as pd
import pytest

from sweep.analyses.tempo_tables import CHANGE_COLUMNS, POINT, SCORE_COLUMNS, TempoTables
from sweep.report.sections.tempo import SECTION, best_layers, with_r2, write_tempo
from tests.support.report_data import make_layers
from tests.sweep.report.test_build import make_run  # noqa: F401 (a fixture)

FACTORS = (0.8, 0.9, 1.1, 1.25)


def make_tempo(layers, lacking=0):
    """Slopes that are half of R², for all rows of layers.csv."""
    scores = layers[list(POINT)].astype(dict.fromkeys(("model", "target", "probe"), str))
    slope = layers["r2"].to_numpy() / 2
    spread = {"slope": slope, "correlation": np.full(len(slope), 0.8), "shift": np.ones(len(slope))}
    for name, values in spread.items():
        scores = scores.assign(
            **{name: values, f"{name}_low": values - 0.1, f"{name}_high": values + 0.1}
        )
    scores = scores.assign(n_utterances=200, n_speakers=40, cells=3, missing=lacking)
    changes = []
    for row in scores.to_dict("records"):
        for factor in FACTORS:
            known = 12 * (factor - 1)
            told = row["slope"] * known + row["shift"]
            ends = {"predicted_change_low": told - 0.2, "predicted_change_high": told + 0.2}
            point = {name: row[name] for name in POINT}
            changes.append(
                {**point, "factor": factor, "known_change": known, "predicted_change": told, **ends}
            )
    return TempoTables(
        scores[list(SCORE_COLUMNS)], pd.DataFrame(changes, columns=list(CHANGE_COLUMNS))
    )


NOTHING = TempoTables(
    pd.DataFrame(columns=list(SCORE_COLUMNS)), pd.DataFrame(columns=list(CHANGE_COLUMNS))
)


@pytest.fixture
def write(tmp_path):
    def run(layers, tempo=None, folder="run"):
        tempo = make_tempo(layers) if tempo is None else tempo
        return write_tempo(tmp_path / folder / "plots", tempo, layers)

    return run


def svg(path):
    return path.with_suffix(".svg").read_text()


def test_each_target_has_a_figure(write):
    layers = make_layers(targets=("cps", "duration"), probes=("ridge", "mlp"))
    tempo = make_tempo(layers)
    figures, _ = write(layers, tempo)
    assert [path.stem for path in figures] == [
        "tempo_cps", "tempo_changes_cps", "tempo_duration", "tempo_changes_duration",
    ]  # fmt: skip
    assert all((path.parent / "single-column" / path.name).exists() for path in figures)


def test_the_figure_names_what_its_lines_are(write):
    (slopes, changes), _ = write(make_layers(probes=("ridge", "mlp")))
    names = (">ridge<", ">mlp<", "SimAMResNet34 vb", "SimAMResNet34 random", "fbank only")
    for path, others in (
        (
            slopes,
            ("(cps): slope", "0: does not follow", "1: follows fully", "layer by R²", ">stem<"),
        ),
        (changes, ("true change", "no change", "change (characters/s)", "tempo", ">1.25<")),
    ):
        for what in (*names, *others):
            assert what in svg(path), what
    assert "fewer cells than planned" not in svg(slopes)
    layers = make_layers(probes=("ridge",))
    (slopes, _), _ = write(layers, make_tempo(layers, lacking=1), folder="lacking")
    assert "fewer cells than planned" in svg(slopes)


def test_the_table_has_each_curve_s_layer_of_the_best_r2_whatever_its_slope(write):
    layers = make_layers(probes=("ridge",), models=(("a", 5), ("b", 5)))
    tempo = make_tempo(layers)
    at_best = layers.loc[layers[layers["model"] == "a"]["r2"].idxmax()]
    tempo.scores.loc[tempo.scores["layer_index"] == 4, "slope"] = 0.9
    best = best_layers(with_r2(tempo.scores, layers))
    assert list(best["model"]) == ["a", "b", "baseline:duration", "baseline:fbank"]
    assert best["layer"].iloc[0] == at_best["layer"]
    _, (table,) = write(layers, tempo)
    assert table.header[0] == "Model"
    assert [row[2].text for row in table.rows][:1] == [at_best["layer"]]
    slope = table.rows[0][table.header.index("Slope [95 %]")].text
    assert slope.startswith(f"{at_best['r2'] / 2:.3f} [")


@pytest.mark.parametrize(
    ("models", "probes"),
    [
        ((("a", 1),), ("ridge",)),
        ((("a", 150), ("b", 51)), ("ridge", "mlp", "cca", "linear", "wide")),
        (tuple((f"m{i}", 4) for i in range(15)), ("ridge", "mlp")),
    ],
)
def test_any_number_of_layers_probes_and_models_is_drawn(write, models, probes):
    figures, (table,) = write(make_layers(models=models, probes=probes))
    assert all(path.stat().st_size > 0 for path in figures)
    assert len(table.rows) == (len(models) + 2) * len(probes)


def test_what_is_undefined_is_a_gap(write):
    layers = make_layers(probes=("ridge",), models=(("a", 6),))
    tempo = make_tempo(layers)
    unknown = [c for c in tempo.scores.columns if c.startswith(("slope", "correlation"))]
    tempo.scores.loc[:2, unknown] = np.nan
    figures, (table,) = write(layers, tempo)
    assert all(path.exists() for path in figures)
    assert len(table.rows) == 3


def test_equal_numbers_give_equal_bytes(write):
    layers = make_layers(probes=("ridge",))
    first, _ = write(layers, folder="one")
    second, _ = write(layers, folder="two")
    for one, two in zip(first, second, strict=True):
        assert one.read_bytes() == two.read_bytes()
        assert svg(one) == svg(two)


def test_without_predictions_there_is_no_figure_and_no_table(write):
    assert write(make_layers(probes=("ridge",)), NOTHING) == ([], [])


def test_the_section_explains_slopes_and_names_the_layers(make_run, monkeypatch):  # noqa: F811
    run = make_run(lambda task, cell: None, probes=[{"kind": "ridge"}])
    assert SECTION.render(run) is None
    tempo = make_tempo(run.layers)
    tables = {"tempo": tempo.scores, "tempo_changes": tempo.changes}
    monkeypatch.setattr(run, "table", tables.get)
    content = SECTION.render(run)
    assert "1 means that predictions follow it fully" in content.introduction
    assert "Layer of best R²" in content.tables[0].header
    assert [path.name for path in content.figures] == ["tempo_cps.svg", "tempo_changes_cps.svg"]
