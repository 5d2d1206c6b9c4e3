import re
from html.parser import HTMLParser

import numpy as np
import pandas as pd
import pytest
from markdown_it import MarkdownIt
from rich.cells import cell_len

from sweep.report.tables.cells import decimals
from sweep.report.tables.files import write_layers, write_models
from sweep.report.tables.layer_tables import layers_tables
from sweep.report.tables.markup import escape_latex, escape_markdown, one_line
from sweep.report.tables.model_tables import models_tables
from tests.support.report_data import (
    MAJORITY,
    MEAN_MSE,
    SPEAKER_MSE,
    make_layers,
    make_models,
)

HOSTILE = [
    "a|b || c",
    "<script>alert(1)</script>",
    "<img src=x onerror=alert(1)>",
    "[click](javascript:alert(1)) [a][b] [c]: d",
    "**bold** _em_ __strong__ ~~gone~~ `code` snake_case",
    r"\input{/etc/passwd} \\ 100% & $x^2$ #1 {a} ~ \| \`",
    "&lt;b&gt; &amp; &copy;",
    "日本語 – “x” 'y' ``z''",
    "# heading",
    "1. item",
]


class Cells(HTMLParser):
    """The tags of an HTML text, and the text of its table cells and list items."""

    def __init__(self, html):
        super().__init__()
        self.tags, self.texts, self._open = [], [], False
        self.feed(html)

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        if tag in ("td", "li"):
            self.texts.append("")
            self._open = True

    def handle_endtag(self, tag):
        if tag in ("td", "li"):
            self._open = False

    def handle_data(self, data):
        if self._open:
            self.texts[-1] += data


def written(tmp_path, layers, notes=()):
    write_models(tmp_path, make_models(layers), notes)
    write_layers(tmp_path, layers, notes)
    return {path.name: path.read_text() for path in tmp_path.iterdir()}


def models_table(models):
    """The comparison table of targets of one kind."""
    (table,) = models_tables(models)
    return table


def layers_table(layers):
    (table,) = layers_tables(layers)
    return table


def rows_of(table):
    return [[cell.text for cell in row] for row in table.rows]


def test_every_table_is_written_in_every_form(tmp_path):
    files = written(tmp_path, make_layers(probes=("ridge",)))
    forms = [f"{name}.{end}" for name in ("layers", "models") for end in ("csv", "md", "tex")]
    assert sorted(files) == sorted(forms)


def test_csv_holds_every_digit_and_leaves_what_is_undefined_empty(tmp_path):
    layers = make_layers(probes=("ridge",))
    layers.loc[0, "pearson"] = np.nan
    text = written(tmp_path, layers)["layers.csv"]
    assert "\r" not in text
    assert "nan" not in text.lower()
    back = pd.read_csv(tmp_path / "layers.csv", dtype=str, keep_default_na=False)
    for column in ("r2", "mse", "pearson", "gain"):
        values = [float(text) if text else np.nan for text in back[column]]
        np.testing.assert_array_equal(values, layers[column])


def test_writing_again_gives_the_same_bytes_and_leaves_nothing_else(tmp_path):
    layers = make_layers(probes=("ridge", "cca"))
    assert written(tmp_path, layers, ["a"]) == written(tmp_path, layers, ["a"])


def test_the_comparison_table_is_the_studys_with_baselines_beside_it():
    layers = make_layers(probes=("ridge", "cca"))
    table = models_table(make_models(layers))
    ridge = layers[(layers["probe"] == "ridge") & (layers["model"] == "SimAMResNet34 vb")]
    cca = layers[(layers["probe"] == "cca") & (layers["model"] == "SimAMResNet34 vb")]
    best = ridge.loc[ridge["mse"].idxmin()]
    assert table.header == (
        "Model",
        "Probe",
        "MSE on embedding",
        "Best layer (MSE)",
        "R² of best layer",
        "Selection-corrected R² [95 %]",
        "Mean CCA over layers",
        "MSE of mean predictor",
    )
    rows = rows_of(table)
    assert rows[0] == [
        "SimAMResNet34 vb",
        "ridge",
        f"{ridge.iloc[-1]['mse']:.2f}",
        f"{best['layer_index']}: {best['layer']} ({best['mse']:.2f})",
        f"{best['r2']:.3f}",
        f"{best['r2'] - 0.05:.3f} [{best['r2'] - 0.15:.3f}, {best['r2'] + 0.02:.3f}]",
        f"{cca['pearson'].mean():.3f}",
        f"{MEAN_MSE:.2f}",
    ]
    assert [row[0] for row in rows[1:]] == [
        "SimAMResNet34 random",
        "baseline:duration",
        "baseline:fbank",
        "speaker mean",
        "mean predictor",
    ]
    assert rows[-2][1:] == ["–", "–", f"{SPEAKER_MSE:.2f}", "0.350", "0.350", "–", "4.41"]
    assert rows[-1][1:] == ["–", "–", "4.41", "0.000", "0.000", "–", "4.41"]


def test_cca_has_rows_of_its_own_when_it_is_the_only_probe():
    rows = rows_of(models_table(make_models(make_layers(probes=("cca",)))))
    assert {row[1] for row in rows[:-2]} == {"cca"}
    assert "–" not in {row[6] for row in rows[:-2]}


def test_a_column_that_is_empty_in_all_rows_is_left_out():
    layers = make_layers(models=(("m", 4),), probes=("ridge",))
    layers["selectivity"] = np.nan
    header = models_table(make_models(layers)).header
    assert "Mean CCA over layers" not in header and "MSE on embedding" not in header
    assert "Selectivity" not in layers_table(layers).header
    assert {len(row) for row in rows_of(layers_table(layers))} == {9}


def test_classes_have_a_comparison_table_of_their_own_with_the_majority_class():
    layers = make_layers(probes=("ridge",), classes=("sex",))
    numbers, classes = models_tables(make_models(layers))
    assert numbers.header[0] == classes.header[0] == "Target"
    assert {row[0] for row in rows_of(numbers)} == {"cps"}
    assert rows_of(numbers)[-1][1] == "mean predictor"
    assert classes.header[1:] == (
        "Model",
        "Probe",
        "Accuracy on embedding",
        "Best layer (accuracy)",
        "Balanced accuracy of best layer",
        "Macro F1 of best layer",
        "Selection-corrected accuracy [95 %]",
        "Accuracy of majority class",
    )
    curve = layers[(layers["target"] == "sex") & (layers["model"] == "SimAMResNet34 vb")]
    best = curve.loc[curve["accuracy"].idxmax()]
    assert rows_of(classes)[0] == [
        "sex",
        "SimAMResNet34 vb",
        "logistic",
        f"{curve.iloc[-1]['accuracy']:.3f}",
        f"{best['layer_index']}: {best['layer']} ({best['accuracy']:.3f})",
        f"{best['balanced_accuracy']:.3f}",
        f"{best['macro_f1']:.3f}",
        f"{best['accuracy'] - 0.05:.3f} [{best['accuracy'] - 0.15:.3f}, "
        f"{best['accuracy'] + 0.02:.3f}]",
        f"{MAJORITY:.3f}",
    ]
    majority = ["sex", "majority class", "–", "–", "0.550", "–", "–", "0.550", "0.550"]
    assert rows_of(classes)[-1] == majority


def test_layers_of_classes_have_a_table_of_their_own_and_files_hold_both(tmp_path):
    layers = make_layers(models=(("m", 3),), probes=("ridge",), classes=("sex",), baselines=False)
    numbers, classes = layers_tables(layers)
    assert "R² [95 %]" in numbers.header and "Accuracy [95 %]" in classes.header
    row = layers[(layers["target"] == "sex") & (layers["layer_index"] == 1)].iloc[0]
    low, high = row["accuracy_low"], row["accuracy_high"]
    assert rows_of(classes)[1][5:8] == [
        f"{row['accuracy']:.3f} [{low:.3f}, {high:.3f}]",
        f"{row['selectivity']:.3f}",
        f"{row['gain']:.3f}",
    ]
    files = written(tmp_path, layers, ["a note"])
    for name in ("models.md", "layers.md"):
        assert files[name].count("a note") == 1
        html = MarkdownIt("commonmark").enable("table").render(files[name])
        assert html.count("<table>") == 2
    for name, kind in (("models.tex", "tabular"), ("layers.tex", "longtable")):
        assert files[name].count(f"\\begin{{{kind}}}") == 2
        assert files[name].count(f"\\end{{{kind}}}") == 2
        assert files[name].count("a note") == 1
    csv = pd.read_csv(tmp_path / "layers.csv")
    assert csv.groupby("target")["accuracy"].count().to_dict() == {"cps": 0, "sex": 3}
    assert csv.groupby("target")["r2"].count().to_dict() == {"cps": 3, "sex": 0}


def test_classes_alone_have_one_table_and_their_own_notes(tmp_path):
    layers = make_layers(probes=(), classes=("sex",))
    assert models_table(make_models(layers)).header[0] == "Model"
    text = written(tmp_path, layers)["models.md"]
    assert "The selection-corrected accuracy avoids this" in text
    assert "majority class is the most frequent one of the training split" in text
    assert "R²" not in text and "MSE" not in text


def test_cca_is_known_by_its_kind_whatever_its_name():
    layers = make_layers(probes=("svcca", "cca"), baselines=False)
    layers["probe_kind"] = layers["probe"].astype(str).map({"svcca": "cca", "cca": "ridge"})
    models = make_models(layers)
    rows = rows_of(models_table(models))
    assert [row[1] for row in rows[:-2]] == ["cca", "cca"]
    svcca = models.loc[models["probe"] == "svcca", "mean_pearson"]
    assert [row[6] for row in rows[:-2]] == [f"{mean:.3f}" for mean in svcca]


def test_of_several_cca_the_first_is_the_column_and_the_others_have_rows(tmp_path):
    layers = make_layers(probes=("ridge", "svcca", "cca"), baselines=False)
    layers["probe_kind"] = layers["probe_kind"].replace("svcca", "cca")
    models = make_models(layers)
    rows = rows_of(models_table(models))
    assert [row[1] for row in rows[:-2]] == ["ridge", "cca"] * 2
    first = models.loc[models["probe"] == "svcca", "mean_pearson"]
    assert [row[6] for row in rows[:-2:2]] == [f"{mean:.3f}" for mean in first]
    note = "Mean CCA over layers is that of the probe svcca."
    files = written(tmp_path, layers)
    assert note in files["models.md"] and note in files["models.tex"]


def test_the_best_of_many_layers_is_footnoted_as_such(tmp_path):
    files = written(tmp_path, make_layers(probes=("ridge",)))
    for name in ("models.md", "models.tex"):
        assert "chosen on the test split, among up to 51 layers" in files[name]
        assert "scored on the others" in files[name]
    alone = written(tmp_path, make_layers(models=(("m", 1),), probes=("ridge",)))
    assert "chosen on the test split" not in alone["models.md"]
    assert "only a part was probed" not in files["models.md"]


def test_places_of_layers_in_a_network_of_which_a_part_was_probed_are_explained(tmp_path):
    layers = make_layers(models=(("m", 4),), probes=("ridge",))
    layers["layer_index"] += 30
    note = "its place among all layers of its network, counted from 0, of which only a part was"
    assert note in written(tmp_path, layers)["models.md"]


def with_lost_cells():
    """Layer 0 has lost a seed, layer 1 all of its cells, layer 2 a cell of the control."""
    layers = make_layers(models=(("m", 4),), probes=("ridge",), baselines=False)
    scores = layers.columns[layers.columns.get_loc("n_test") :].drop("influential_speaker")
    layers[scores] = layers[scores].astype(float)
    layers.loc[0, ["cells", "missing"]] = 4, 1
    layers.loc[1, ["cells", "missing", "missing_control"]] = 0, 5, 5
    layers.loc[1, scores] = np.nan
    layers.loc[2, "missing_control"] = 1
    return layers


def test_a_point_that_lacks_cells_is_marked_and_counted_and_told(tmp_path):
    layers = with_lost_cells()
    table = layers_table(layers)
    assert table.header[-1] == "Cells"
    rows = rows_of(table)
    assert [row[3] for row in rows] == ["layer0 †", "layer1 †", "layer2 †", "layer3"]
    assert [row[-1] for row in rows] == [
        "4 of 5", "0 of 5, control lacks 5", "5 of 5, control lacks 1", "5 of 5",
    ]  # fmt: skip
    assert set(rows[1][4:-1]) == {"–"}
    assert table.rows[0][3].key == "layer0"
    files = written(tmp_path, layers)
    assert "- † lacks planned cells" in files["layers.md"]
    assert r"\textdagger{} lacks planned cells" in files["layers.tex"]
    assert "| ridge † |" in files["models.md"] and "† lacks planned cells" in files["models.md"]
    csv = pd.read_csv(tmp_path / "layers.csv")
    assert csv["layer"].tolist() == ["layer0", "layer2", "layer3"]


def test_nothing_is_marked_where_every_cell_is_there(tmp_path):
    files = written(tmp_path, make_layers(probes=("ridge",)))
    assert not any("†" in text or "textdagger" in text for text in files.values())
    assert "Cells" not in files["layers.md"]


def test_several_targets_have_a_column_and_a_mean_predictor_each():
    table = models_table(make_models(make_layers(probes=("ridge",), targets=("cps", "seconds"))))
    assert table.header[0] == "Target"
    means = [row[0] for row in rows_of(table) if row[1] == "mean predictor"]
    assert means == ["cps", "seconds"]
    assert layers_table(make_layers(probes=("ridge",), targets=("a", "b"))).header[0] == "Target"


def test_the_layers_table_has_a_row_a_layer_in_depth_order():
    layers = make_layers(models=(("m", 51),), probes=("ridge",), baselines=False)
    rows = rows_of(layers_table(layers))
    assert [row[2] for row in rows] == [str(index) for index in range(51)]
    assert rows[50][3] == "embedding"
    assert rows[0][5] == f"{layers['selectivity'][0]:.3f}"


def test_a_score_without_an_interval_or_value_is_told_as_such():
    layers = make_layers(models=(("m", 2),), probes=("ridge",), baselines=False)
    layers["r2_low"] = layers["r2_high"] = np.nan
    layers.loc[0, ["r2", "selectivity"]] = np.nan
    rows = rows_of(layers_table(layers))
    assert rows[0][4:6] == ["–", "–"]
    assert rows[1][4] == f"{layers['r2'][1]:.3f}"


def test_a_rounded_zero_has_no_sign():
    layers = make_layers(models=(("m", 1),), probes=("ridge",), baselines=False)
    layers["selectivity"] = -1e-9
    assert rows_of(layers_table(layers))[0][5] == "0.000"


@pytest.mark.parametrize(
    ("values", "places"),
    [([4.41], 2), ([14.8, 13.7], 1), ([0.31], 3), ([210.0], 0), ([1e-9], 4), ([], 2), ([0.0], 2)],
)
def test_decimals_show_three_digits(values, places):
    assert decimals(pd.Series(values, dtype=float)) == places
    assert decimals(pd.Series([*values, np.nan], dtype=float)) == places


def test_markdown_columns_are_aligned_in_the_source(tmp_path):
    layers = make_layers(models=(("日本語|model", 51), ("b", 51)), probes=("ridge",))
    for name in ("models.md", "layers.md"):
        lines = written(tmp_path, layers, ["note"])[name].splitlines()
        table = [line for line in lines if line.startswith("|")]
        assert len({cell_len(line) for line in table}) == 1
        bars = [[m.start() for m in re.finditer(r"(?<!\\)\|", line)] for line in table]
        assert len({len(places) for places in bars}) == 1


def test_hostile_names_and_notes_are_text_in_markdown(tmp_path):
    layers = make_layers(models=[(name, 2) for name in HOSTILE], probes=("ridge",), baselines=False)
    for name in ("models.md", "layers.md"):
        text = written(tmp_path, layers, HOSTILE)[name]
        page = Cells(MarkdownIt("commonmark").enable(["table", "strikethrough"]).render(text))
        allowed = {"table", "thead", "tbody", "tr", "th", "td", "ul", "li"}
        assert set(page.tags) <= allowed
        assert set(HOSTILE) <= set(page.texts)
        assert page.texts[-len(HOSTILE) :] == HOSTILE


def latex_cells(line):
    return re.split(r"(?<!\\)&", line.removesuffix(r" \\"))


def test_hostile_names_stay_within_their_latex_cells(tmp_path):
    layers = make_layers(models=[(name, 2) for name in HOSTILE], probes=("ridge",), baselines=False)
    for name, columns in (("models.tex", 6), ("layers.tex", 10)):
        lines = written(tmp_path, layers)[name].splitlines()
        rows = [line for line in lines if re.match(r"(?!\\multicolumn).*\\\\$", line)]
        assert {len(latex_cells(row)) for row in rows} == {columns}
        for row in rows:
            plain = re.sub(r"\\[{}$&#%_]", "", row.replace("$-$", ""))
            assert plain.count("{") == plain.count("}")
            assert not re.search(r"[$#%^~]", plain)
            commands = set(re.findall(r"\\[a-z]+", plain))
            assert commands <= {
                r"\textbackslash",
                r"\textasciitilde",
                r"\textasciicircum",
                r"\textless",
                r"\textgreater",
                r"\textbar",
                r"\textquotesingle",
                r"\textasciigrave",
                r"\textsuperscript",
                r"\textendash",
            }


def test_latex_tables_are_booktabs_with_footnotes(tmp_path):
    files = written(
        tmp_path, make_layers(probes=("ridge",)), ["3 utterances skipped: 100 % silent"]
    )
    models, layers = files["models.tex"], files["layers.tex"]
    assert models.index(r"\toprule") < models.index(r"\midrule") < models.index(r"\bottomrule")
    assert r"\footnotesize 3 utterances skipped: 100 \% silent" in models
    assert r"\begin{longtable}" in layers
    assert r"\footnotesize 3 utterances skipped: 100 \% silent" in layers
    assert "$-$" in escape_latex("0.048 [-0.012, 0.108]")


@pytest.mark.parametrize("escape", [one_line, escape_markdown, escape_latex])
def test_a_name_cannot_begin_a_new_line(escape):
    assert "\n" not in escape("a\r\nb\x1b[2J\u2028c")


def test_names_of_layers_stay_readable_in_markdown():
    assert escape_markdown("layer1.0.relu1 SimAM_ResNet34 [0.1, 0.2]") == (
        "layer1.0.relu1 SimAM_ResNet34 [0.1, 0.2]"
    )
