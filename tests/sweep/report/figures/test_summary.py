"""The first figure of a run: what it shows, and that nothing in it collides or is cut."""

import itertools
import re

import numpy as np
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.text import Text

import sweep.report.figures.summary
from jobs.targets.registry import TARGETS
from sweep.report.figures.lines import COLOURS, line_styles
from sweep.report.figures.style import NARROW, WIDTH, figure_style
from sweep.report.figures.summary import title_of, write_summary
from tests.support.report_data import MAJORITY, make_layers
from tests.sweep.report.figures.test_plots import HOSTILE, MANY, SINGLE, UNEQUAL, texts_of

TWO = (("trained", 51), ("untrained", 51))
SEVEN = (
    ("SimAM-ResNet34 trained", 51), ("SimAM-ResNet34 untrained", 51),
    ("voice encoder trained", 5), ("voice encoder untrained", 5),
    ("pitch network trained", 7), ("pitch network untrained", 7), ("embedding only", 1),
)  # fmt: skip
NETWORKS = ("SimAM-ResNet34", "voice encoder", "pitch network")


def four_targets(models=TWO):
    return make_layers(
        models=models, probes=("ridge",), targets=("cps", "f0_mean"), classes=("speaker", "sex")
    )


@pytest.fixture
def draw(monkeypatch, tmp_path):
    """Draw a summary and return the figure, and the axes of its panels."""
    made = []

    def draw(layers, twins=(), width=WIDTH):
        def keep(draw, folder, name):
            made.append(draw(width))
            return folder / f"{name}.png"

        monkeypatch.setattr(sweep.report.figures.summary, "save_both", keep)
        assert write_summary(tmp_path, layers, twins) is not None
        return made[-1], made[-1].axes

    return draw


def line_of(axes, colour):
    """The x and y of the thick line of a colour."""
    (line,) = [
        line for line in axes.lines
        if line.get_color() == colour and line.get_linestyle() != "None"
        and line.get_linewidth() == 1.3
    ]  # fmt: skip
    return line.get_xdata(), line.get_ydata()


def named_in(axes):
    return [text.get_text() for text in axes.texts]


def test_every_target_has_a_panel_that_says_what_its_score_means(tmp_path):
    path = write_summary(tmp_path, four_targets())
    files = {"summary.png", "summary.svg", "summary.pdf"}
    assert {file.name for file in tmp_path.iterdir()} == files | {"single-column"}
    texts = texts_of(path)
    for target in ("cps", "f0_mean", "speaker", "sex"):
        assert title_of(target) in texts
    assert "Speech rate (cps)" in texts and "Who is speaking (speaker)" in texts
    assert texts.count("R²: 1 is perfect, 0 no better than guessing the mean") == 1
    assert texts.count("accuracy: share of utterances put into the right class") == 1
    assert {"trained", "untrained", "stem", "layer2", "embedding", "mean predictor"} <= set(texts)
    assert {"majority class", "duration only", "fbank only"} <= set(texts)
    assert "Probes: ridge (cps, f0_mean), logistic (speaker, sex)." in " ".join(texts)


def test_outputs_of_blocks_are_joined_and_other_layers_are_faint_dots(draw):
    layers = four_targets()
    _, (axes, *_) = draw(layers)
    rows = layers[(layers["model"] == "trained") & (layers["target"] == "cps")]
    inside = rows["level"] == "inside a block"
    x, y = line_of(axes, COLOURS[0])
    assert list(x) == list(rows.loc[~inside, "layer_index"])
    assert list(y) == list(rows.loc[~inside, "r2"])
    (dots,) = [line for line in axes.lines if line.get_color() == COLOURS[0] and line.get_alpha()]
    assert list(dots.get_ydata()) == list(rows.loc[inside, "r2"])
    assert dots.get_linestyle() == "None"


def test_the_best_layer_of_each_model_is_named_with_its_score(draw):
    layers = four_targets()
    _, panels = draw(layers)
    for axes, target, score in zip(
        panels, ("cps", "f0_mean", "speaker", "sex"), ["r2"] * 2 + ["accuracy"] * 2, strict=True
    ):
        for model in ("trained", "untrained"):
            rows = layers[(layers["model"] == model) & (layers["target"] == target)]
            best = rows.loc[rows[score].idxmax()]
            assert f"{best['layer']} {best[score]:.2f}" in named_in(axes)


def test_networks_of_different_depth_have_columns_with_the_names_of_their_layers(draw):
    twins = {(f"{name} trained", f"{name} untrained") for name in NETWORKS}
    figure, panels = draw(four_targets(SEVEN), twins)
    assert len(panels) == 4 * 4
    titles = [text.get_text() for text in figure.texts]
    assert {"trained", "untrained twin", "voice encoder trained", "embedding only"} <= set(titles)
    names = [set(named_in(axes)) for axes in panels[-4:]]
    assert {"stem", "layer2", "embedding"} <= names[0]
    assert {f"layer{n}" for n in range(5)} <= names[1]
    assert {f"layer{n}" for n in range(7)} <= names[2]
    for axes in panels[:3]:
        assert len([text for text in named_in(axes) if re.search(r"\d\.\d\d$", text)]) == 2


def test_columns_beyond_the_seventh_are_left_to_the_figures_of_targets(draw):
    figure, panels = draw(four_targets(MANY))
    assert len(panels) == 4 * 7
    assert "13 more networks are in the figures" in " ".join(t.get_text() for t in figure.texts)


def test_the_first_probe_that_predicts_the_target_is_shown(draw):
    layers = make_layers(models=TWO, probes=("mlp", "ridge"))
    layers.loc[layers["probe"] == "mlp", ["r2", "r2_low", "r2_high"]] = np.nan
    figure, (axes,) = draw(layers)
    rows = layers[(layers["probe"] == "ridge") & (layers["model"] == "trained")]
    assert set(line_of(axes, COLOURS[0])[1]) <= set(rows["r2"])
    assert "Probe: ridge." in " ".join(text.get_text() for text in figure.texts)


def test_what_lies_far_below_is_marked_at_the_edge_and_does_not_squeeze_the_rest(draw):
    layers = make_layers(models=TWO, probes=("study-mlp",))
    layers.loc[layers["model"] == "baseline:fbank", "r2"] = -5.0
    layers.loc[layers["layer_index"] == 3, ["r2_low", "r2_high"]] = -1e15, 2.0
    figure, (axes,) = draw(layers)
    low, high = axes.get_ylim()
    assert -0.5 < low < 0 and 0.6 < high < 0.8
    marks = [line for line in axes.lines if line.get_marker() == "v"]
    n_below = (layers.loc[layers["model"].isin(["trained", "untrained"]), "r2"] < low).sum()
    assert sum(len(line.get_ydata()) for line in marks) == n_below > 0
    assert "fbank only ▼" in named_in(axes)
    assert any("▼: beyond the axis." in text.get_text() for text in figure.texts)
    assert all(band.get_clip_on() for band in axes.collections)


def test_classes_are_compared_with_the_majority(draw):
    _, panels = draw(four_targets())
    values = [line.get_ydata()[0] for line in panels[-1].lines if line.get_color() == "black"]
    assert values == [MAJORITY]


def test_twins_share_a_colour_where_there_are_several(draw):
    twins = {(f"{name} trained", f"{name} untrained") for name in NETWORKS}
    styles = line_styles(four_targets(SEVEN), twins)
    for trained, untrained in twins:
        assert styles[trained][0] == styles[untrained][0]
        assert (styles[trained][1], styles[untrained][1] == "-") == ("-", False)
    assert len({colour for colour, _ in styles.values()}) == 4
    two = line_styles(four_targets(), {("trained", "untrained")})
    assert [two[name][0] for name in ("trained", "untrained")] == list(COLOURS[:2])
    assert two["untrained"][1] != "-"  # told apart in grey, too


@pytest.mark.parametrize("width", [WIDTH, NARROW])
@pytest.mark.parametrize("models", [TWO, SEVEN, UNEQUAL, HOSTILE, MANY, SINGLE])
def test_no_text_is_cut_or_covers_another_and_none_is_too_small(draw, models, width):
    twins = {(f"{name} trained", f"{name} untrained") for name in NETWORKS}
    figure, panels = draw(four_targets(models), twins, width)
    with figure_style():
        renderer = FigureCanvasAgg(figure).get_renderer()
        figure.draw(renderer)
    texts = [*figure.texts, *(text for axes in panels for text in axes.texts)]
    texts += [text for axes in panels for text in axes.get_yticklabels()]
    boxes = [text.get_window_extent(renderer) for text in texts if text.get_text()]
    for text, box in zip([text for text in texts if text.get_text()], boxes, strict=True):
        assert text.get_fontsize() >= 7, text
        assert box.x0 >= -1 and box.y0 >= -1, text
        assert box.x1 <= figure.bbox.x1 + 1 and box.y1 <= figure.bbox.y1 + 1, text
    for axes in panels:
        # without the arrows of annotations
        inside = [Text.get_window_extent(one, renderer).shrunk(0.98, 0.8) for one in axes.texts]
        assert not any(a.overlaps(b) for a, b in itertools.combinations(inside, 2))


def test_layers_without_scores_are_gaps_and_no_scores_are_no_figure(draw, tmp_path):
    layers = make_layers(models=(("net", 8),), probes=("ridge",))
    scores = [column for column in layers if column.startswith("r2")]
    layers.loc[layers["layer_index"].isin([3, 4]), scores] = np.nan
    _, (axes,) = draw(layers)
    assert np.flatnonzero(np.isnan(line_of(axes, COLOURS[0])[1])).tolist() == [3, 4]
    layers[scores] = np.nan
    assert write_summary(tmp_path, layers) is None
    assert write_summary(tmp_path, layers.iloc[:0]) is None


def test_every_target_has_a_readable_name():
    assert all(target.title for target in TARGETS.values())
    assert title_of("my column") == "my column"
    assert title_of("duration") == "Duration"


@pytest.mark.parametrize("width", [NARROW, WIDTH])
def test_a_title_without_room_leaves_out_the_name_and_is_not_cut(draw, width):
    layers = make_layers(targets=("words_per_second", "cps"), models=TWO[:1])
    figure, _ = draw(layers, width=width)
    texts = [text.get_text() for text in figure.texts]
    assert any(text.startswith("Speech rate in words") for text in texts)
    assert not any("…" in text for text in texts)


def test_intervals_are_mentioned_only_where_there_are_any(draw):
    layers = make_layers(models=TWO, probes=("ridge",))
    figure, _ = draw(layers)
    assert any("95 % interval" in text.get_text() for text in figure.texts)
    figure, _ = draw(layers.assign(r2_low=np.nan, r2_high=np.nan))
    assert not any("interval" in text.get_text() for text in figure.texts)
