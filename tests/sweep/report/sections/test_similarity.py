"""The table and the heatmaps of layers against layers."""

import itertools

import numpy as np
import pandas as pd
import pytest

from sweep.analyses.similarity_table import COLUMNS
from sweep.report.sections.similarity import SECTION, write_similarity
from tests.support.report_data import layer_names
from tests.sweep.report.test_build import make_run  # noqa: F401 (a fixture)


def make_rows(*models, measures=("cka", "pwcca")):
    """similarity.csv of (name, number of layers); near layers are alike."""
    layers = [(m, n, i, count) for m, count in models for i, n in enumerate(layer_names(count))]
    rows = []
    for measure, (a, b) in itertools.product(measures, itertools.product(layers, layers)):
        value = np.exp(-abs(a[2] / a[3] - b[2] / b[3])) * (1 if a[0] == b[0] else 0.6)
        flagged = measure == "pwcca" and a[2] + b[2] < 2
        rows.append(
            (measure, *a[:3], *b[:3], 400, value, 0.0 if measure == "cka" else 0.2, flagged)
        )
    return pd.DataFrame(rows, columns=list(COLUMNS))


@pytest.fixture
def write(tmp_path):
    def run(rows, folder="run"):
        return write_similarity(tmp_path / folder / "plots", rows)

    return run


def svg(path):
    return path.with_suffix(".svg").read_text()


def test_each_measure_has_a_figure(write):
    rows = make_rows(("trained", 5), ("untrained", 4))
    paths = write(rows)
    assert [path.name for path in paths] == ["similarity_cka.png", "similarity_pwcca.png"]


def test_few_layers_have_their_names_and_models_theirs(write):
    cka, pwcca = map(svg, write(make_rows(("trained", 5), ("untrained", 4))))
    for name in ("trained", "untrained", "layer0", "layer4"):
        assert f">{name}<" in cka
    assert "Linear CKA, unbiased · 400 utterances" in cka
    assert "partly 1 whatever the data" in pwcca
    assert "partly 1" not in cka
    assert "independent layers: 0.20 to 0.20" in pwcca


def test_many_layers_have_the_names_of_their_stages_without_two_on_one_place(write):
    text = svg(write(make_rows(("a", 150), ("b", 51), measures=("cka",)))[0])
    assert text.count(">layer3<") == 2 * 2  # on both axes
    assert "layer3.0.relu1" not in text
    assert text.count(">pooling<") == 2 * 2
    assert ">embedding<" not in text  # beside pooling there is no room


def test_equal_values_give_equal_bytes(write):
    rows = make_rows(("a", 5))
    first, second = write(rows, "one"), write(rows, "two")
    for one, two in zip(first, second, strict=True):
        assert one.read_bytes() == two.read_bytes()
        assert one.with_suffix(".svg").read_bytes() == two.with_suffix(".svg").read_bytes()


def test_a_pair_without_values_and_a_model_of_one_layer_can_be_drawn(write):
    rows = make_rows(("a", 4), ("b $x$ <&> with a very long name that has no room", 1))
    rows.loc[rows["model_a"] != rows["model_b"], "value"] = np.nan
    assert len(write(rows)) == 2
    assert len(write(rows.assign(value=np.nan, flagged=True, chance=np.nan))) == 2


def test_without_a_comparison_there_is_no_figure(write):
    assert write(pd.DataFrame(columns=list(COLUMNS))) == []


def test_the_section_is_there_only_where_layers_were_compared(make_run, monkeypatch):  # noqa: F811
    run = make_run(lambda task, cell: None, probes=[{"kind": "ridge"}])
    assert SECTION.render(run) is None
    monkeypatch.setattr(run, "table", {"similarity": make_rows(("a", 4))}.get)
    content = SECTION.render(run)
    assert [path.suffix for path in content.figures] == [".svg", ".svg"]
