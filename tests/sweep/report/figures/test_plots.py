import hashlib
import itertools
from xml.etree import ElementTree

import matplotlib
import numpy as np
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from PIL import Image

import sweep.report.figures.heatmap
import sweep.report.figures.plots
from sweep.report.figures.layer_axis import depth_of
from sweep.report.figures.lines import line_styles
from sweep.report.figures.plots import write_plots
from sweep.report.figures.scores import MSE, R2
from sweep.report.figures.style import WIDTH, figure_style, short
from sweep.report.figures.value_axis import limits
from tests.support.report_data import MAJORITY, MEAN_MSE, SPEAKER_ACCURACY, layer_names, make_layers

FAMILY = (("SimAMResNet34 vb", 51), ("SimAMResNet34 random", 51))
UNEQUAL = (("R34 vb", 51), ("R34 vb+vc", 51), ("R100 vb", 150), ("R100 vc", 150))
HOSTILE = (("$\\frac{a}$ 5$ <b>&\n日本語 " + "x" * 200, 51), ("", 51))
MANY = tuple(
    (f"model with a rather long name, number {number} of all those", 8) for number in range(20)
)
SINGLE = (("one", 1), ("other", 1))
LONG_LAYERS = tuple((f"m{n}", 9) for n in range(2))


def texts_of(path):
    root = ElementTree.parse(path.with_suffix(".svg")).getroot()
    return [
        "".join(element.itertext()).strip()
        for element in root.iter("{http://www.w3.org/2000/svg}text")
    ]


@pytest.fixture
def figures(monkeypatch):
    """The figures that are made, by name, instead of their files."""
    made = {}

    def keep(figure, folder, name):
        made[name] = figure
        return folder / f"{name}.png"

    monkeypatch.setattr(sweep.report.figures.plots, "save", keep)
    monkeypatch.setattr(sweep.report.figures.heatmap, "save", keep)
    return made


def test_every_score_of_every_probe_has_a_png_and_an_svg(tmp_path):
    paths = write_plots(tmp_path, make_layers(probes=("ridge", "cca")))
    assert [path.stem for path in paths] == [
        "overview_cps",
        "r2_cps_ridge",
        "mse_cps_ridge",
        "mae_cps_ridge",
        "pearson_cps_ridge",
        "heatmap_cps_ridge",
        "r2_cps_cca",
        "mse_cps_cca",
        "mae_cps_cca",
        "cca_cps",
        "heatmap_cps_cca",
    ]
    on_disk = {path.name for path in tmp_path.iterdir()}
    assert on_disk == {f"{path.stem}.{end}" for path in paths for end in ("png", "svg")}
    for path in paths:
        with Image.open(path) as image:
            assert image.width == round(WIDTH * 300)
            assert image.info["dpi"] == pytest.approx((300, 300), abs=0.1)


def test_equal_numbers_give_equal_bytes_whatever_the_users_settings(tmp_path):
    layers = make_layers(probes=("ridge",))
    digests = []
    for number, settings in enumerate(({}, {"font.size": 20, "svg.hashsalt": "x"})):
        with matplotlib.rc_context(settings):
            before = dict(matplotlib.rcParams)
            write_plots(tmp_path / str(number), layers)
            assert dict(matplotlib.rcParams) == before
        files = sorted((tmp_path / str(number)).iterdir())
        digests.append({f.name: hashlib.sha256(f.read_bytes()).hexdigest() for f in files})
    assert digests[0] == digests[1]


def test_svg_text_is_text_and_names_lines_baselines_and_best_layers(tmp_path):
    layers = make_layers(probes=("ridge",))
    texts = texts_of(next(p for p in write_plots(tmp_path, layers) if p.stem == "r2_cps_ridge"))
    one = layers[layers["model"] == "SimAMResNet34 vb"]
    best = one.loc[one["r2"].idxmax()]
    assert f"SimAMResNet34 vb: best {best['layer']} ({best['r2']:.3f})" in texts
    expected = {"mean predictor", "duration only", "fbank only", "shuffled targets", "R²", "layer"}
    assert expected | {"layer1", "layer2", "layer3", "layer4"} <= set(texts)
    assert not any(text.startswith("Axis cut") for text in texts)


def test_hostile_names_are_drawn_as_they_are(tmp_path):
    paths = write_plots(tmp_path, make_layers(models=HOSTILE, probes=("a b",), targets=("c$/d",)))
    assert all(path.exists() for path in paths)
    assert "r2_c-d_a-b" in {path.stem for path in paths}
    legend = next(p for p in paths if p.stem.startswith("heatmap"))
    assert any(text.startswith("$\\frac{a}$ 5$ <b>") for text in texts_of(legend))


def test_names_that_make_the_same_file_name_do_not_overwrite_each_other(tmp_path, figures):
    paths = write_plots(tmp_path, make_layers(models=SINGLE, probes=("a b", "a-b")))
    assert len({path.name for path in paths}) == len(paths) == 11


def drawn_boxes(figure, renderer):
    """Where all texts of a figure are, in pixels."""
    texts = [*figure.texts, *(t for legend in figure.legends for t in legend.get_texts())]
    texts += [text for axes in figure.axes for text in (axes.title, *axes.texts)]
    boxes = [text.get_window_extent(renderer) for text in texts if text.get_text()]
    axes = [axis for axes in figure.axes for axis in (axes.xaxis, axes.yaxis)]
    return boxes + [box for axis in axes if (box := axis.get_tightbbox(renderer)) is not None]


@pytest.mark.parametrize("models", [FAMILY, UNEQUAL, HOSTILE, MANY, SINGLE, LONG_LAYERS])
def test_no_text_is_cut_and_no_ticks_or_legend_entries_overlap(tmp_path, figures, models):
    layers = make_layers(models=models, probes=("ridge", "mlp", "study-mlp", "a" * 80))
    if models is LONG_LAYERS:
        layers["layer"] = [f"encoder.{name}.with.a.long.name" for name in layers["layer"]]
    write_plots(tmp_path, layers)
    for name in ("overview_cps", "r2_cps_study-mlp", "mse_cps_study-mlp", "heatmap_cps_ridge"):
        figure = figures[name]
        with figure_style():
            renderer = FigureCanvasAgg(figure).get_renderer()
            figure.draw(renderer)
            boxes = drawn_boxes(figure, renderer)
        for box in boxes:
            assert box.x0 >= 0 and box.y0 >= 0, name
            assert box.x1 <= figure.bbox.x1 and box.y1 <= figure.bbox.y1, name
        for legend in figure.legends:
            entries = [text.get_window_extent(renderer) for text in legend.get_texts()]
            assert not any(a.overlaps(b) for a, b in itertools.combinations(entries, 2))
            top = max(entry.y1 for entry in entries)
            lowest = min(axes.xaxis.get_tightbbox(renderer).y0 for axes in figure.axes)
            assert lowest >= top, name
        for axes in figure.axes:
            low, high = axes.get_xlim()
            ticks = [t for t in axes.get_xticklabels() if low <= t.get_position()[0] <= high]
            level = [t.get_window_extent(renderer) for t in ticks if t.get_rotation() == 0]
            assert not any(a.overlaps(b) for a, b in itertools.pairwise(level)), name


def test_an_axis_of_some_layers_begins_at_the_first_of_them(tmp_path, figures):
    layers = make_layers(models=FAMILY, probes=("ridge",))
    baseline = layers["layer"].isin(["duration", "statistics"])
    write_plots(tmp_path, layers[baseline | layers["layer_index"].isin([20, 21, 30])])
    axes = figures["r2_cps_ridge"].axes[0]
    assert 19 < axes.get_xlim()[0] < 20
    names = layer_names(51)
    assert [t.get_text() for t in axes.get_xticklabels()] == [names[20], names[21], names[30]]


def test_models_beyond_the_palette_are_grey_and_counted(tmp_path, figures):
    layers = make_layers(models=MANY, probes=("ridge",))
    styles = line_styles(layers)
    coloured = [model for model, (colour, _) in styles.items() if colour != "#BBBBBB"]
    assert coloured == [name for name, _ in MANY[:12]]
    assert len({styles[model] for model in coloured}) == 12
    write_plots(tmp_path, layers)
    labels = [text.get_text() for text in figures["r2_cps_ridge"].legends[0].get_texts()]
    assert "8 other models" in labels


def test_a_very_bad_probe_is_cut_and_the_cut_is_told(tmp_path):
    layers = make_layers(probes=("study-mlp",))
    bad = layers["r2"] < -1
    limit = limits(R2, [layers])
    assert limit.cut is not None
    assert -1 < limit.low < 0
    assert f"{bad.sum()} points lie beyond (▼)" in limit.note
    assert f"{layers['r2'].min():.3g}".replace("-", "−") in limit.note
    above = limits(MSE, [layers])
    assert above.high < 2 * MEAN_MSE * 1.1
    assert f"{bad.sum()} points lie beyond (▲)" in above.note
    paths = write_plots(tmp_path, layers)
    assert limit.note in texts_of(next(p for p in paths if p.stem == "r2_cps_study-mlp"))


def test_an_axis_is_not_cut_where_nearly_all_is_bad_or_nothing_is():
    layers = make_layers(probes=("ridge",), baselines=False)
    assert limits(R2, [layers]).cut is None
    worse = layers.assign(r2=layers["r2"] - 20, r2_low=-21.0, r2_high=-19.0)
    limit = limits(R2, [worse])
    assert limit.cut is None
    assert limit.low < worse["r2"].min()
    assert limit.high > 0


def test_intervals_alone_beyond_the_cut_are_told():
    layers = make_layers(probes=("ridge",), baselines=False)
    layers.loc[3, "r2_low"] = -7.0
    assert "some intervals reach further" in limits(R2, [layers]).note


def test_baselines_beyond_the_cut_are_named_and_not_counted_among_the_marked_points(
    tmp_path, figures
):
    layers = make_layers(models=FAMILY, probes=("ridge",))
    bad = (layers["model"] == FAMILY[0][0]) & layers["layer_index"].isin([40, 45])
    layers.loc[bad, ["r2", "r2_low", "r2_high"]] = -5.0
    fbank = layers["model"] == "baseline:fbank"
    layers.loc[fbank, ["r2", "r2_low", "r2_high"]] = -1.31
    note = limits(R2, [layers]).note
    assert (
        "2 points lie beyond (▼), the furthest at −5; fbank only (−1.31) lies beyond, too" in note
    )
    write_plots(tmp_path, layers)
    marks = [line for line in figures["r2_cps_ridge"].axes[0].lines if line.get_marker() == "v"]
    assert sum(len(line.get_xdata()) for line in marks) == 2
    note = limits(R2, [layers[~bad]]).note
    assert note.endswith("fbank only (−1.31) lies beyond.")
    worse = layers[fbank].assign(r2=-7.0)
    assert "fbank only (to −7) lies" in limits(R2, [layers, worse]).note


def test_a_baseline_looks_the_same_where_another_one_has_no_score(tmp_path, figures):
    layers = make_layers(models=FAMILY, probes=("ridge", "mlp"))
    gone = (layers["model"] == "baseline:duration") & (layers["probe"] == "mlp")
    layers.loc[gone, ["r2", "r2_low", "r2_high"]] = np.nan
    layers.loc[gone, ["cells", "missing"]] = 0, 5
    write_plots(tmp_path, layers)
    overview = figures["overview_cps"]
    (legend,) = overview.legends
    named = {
        t.get_text(): line
        for t, line in zip(legend.get_texts(), legend.legend_handles, strict=True)
    }
    at = layers[layers["model"] == "baseline:fbank"].set_index("probe")["r2"]
    for axes, probe in zip(overview.axes, ("ridge", "mlp"), strict=False):
        (drawn,) = [line for line in axes.lines if list(line.get_ydata()) == [at[probe]] * 2]
        assert drawn._unscaled_dash_pattern == named["fbank only"]._unscaled_dash_pattern


def test_equal_depth_is_drawn_by_index_and_unequal_depth_from_0_to_1():
    equal = depth_of(make_layers(models=FAMILY, baselines=False))
    assert not equal.relative
    assert equal.x("SimAMResNet34 vb", [0, 50]).tolist() == [0, 50]
    unequal = depth_of(make_layers(models=(*UNEQUAL, ("last only", 1)), baselines=False))
    assert unequal.relative
    for model, last in (("R34 vb", 50), ("R100 vc", 149)):
        assert unequal.x(model, [0, last]).tolist() == [0, 1]
    assert unequal.x("last only", [0]).tolist() == [1]


def test_models_of_one_architecture_share_a_strip_even_when_layers_are_missing():
    layers = make_layers(models=UNEQUAL, probes=("ridge",), baselines=False)
    gone = (layers["model"] == "R34 vb") & layers["layer_index"].between(3, 20)
    depth = depth_of(layers[~gone])
    assert [list(names.values()) for names in depth.strips] == [layer_names(51), layer_names(150)]


def curve_lines(figure, colour):
    """The lines of one model in a figure's first panel, without its controls, which are thin."""
    lines = figure.axes[0].lines
    return [line for line in lines if line.get_color() == colour and line.get_linewidth() != 0.8]


def test_layers_that_failed_leave_a_gap_and_probes_that_failed_no_figure(tmp_path, figures):
    layers = make_layers(models=(("m", 51),), probes=("ridge", "mlp"))
    layers["level"] = "unspecified"
    failed = (layers["probe"] == "mlp") | layers["layer_index"].isin([5, 6, 8])
    scores = [column for column in layers if column.startswith(("r2", "mse", "mae", "pearson"))]
    layers.loc[failed, scores] = np.nan
    layers.loc[failed, ["cells", "missing"]] = 0, 5
    write_plots(tmp_path, layers)
    assert not any(name.endswith("mlp") for name in figures)
    assert "heatmap_cps_ridge" in figures
    line, single, *_ = curve_lines(figures["r2_cps_ridge"], line_styles(layers)["m"][0])
    assert np.flatnonzero(np.isnan(line.get_ydata())).tolist() == [5, 6, 8]
    assert list(single.get_xdata()) == [7]  # between two gaps, where a line shows nothing


def test_a_point_that_lacks_cells_is_an_open_circle_and_not_the_best(tmp_path, figures):
    layers = make_layers(models=(("m", 51),), probes=("ridge",))
    layers["level"] = "unspecified"
    layers.loc[layers["layer_index"] == 30, ["cells", "missing", "r2"]] = 4, 1, 0.99
    write_plots(tmp_path, layers)
    _, _, open_circles, best = curve_lines(figures["r2_cps_ridge"], line_styles(layers)["m"][0])
    assert list(open_circles.get_xdata()) == [30]
    assert open_circles.get_markerfacecolor() == "white"
    assert list(best.get_xdata()) != [30]
    labels = [text.get_text() for text in figures["r2_cps_ridge"].legends[0].get_texts()]
    assert "fewer cells than planned" in labels
    heatmap = figures["heatmap_cps_ridge"]
    assert "fewer cells than planned" in heatmap.texts[0].get_text()
    crosses = [line for line in heatmap.axes[0].lines if line.get_marker() == "X"]
    assert [list(line.get_xdata()) for line in crosses] == [[30]]


def test_nothing_is_marked_where_every_cell_is_there(tmp_path, figures):
    write_plots(tmp_path, make_layers(probes=("ridge",)))
    labels = [text.get_text() for text in figures["r2_cps_ridge"].legends[0].get_texts()]
    assert "fewer cells than planned" not in labels
    assert figures["heatmap_cps_ridge"].texts[0].get_text() == "cps · ridge"


def test_cca_is_known_by_its_kind_and_several_have_a_figure_each(tmp_path, figures):
    layers = make_layers(models=SINGLE, probes=("cca", "svcca", "pwcca"))
    layers["probe_kind"] = (
        layers["probe"].astype(str).map({"cca": "ridge", "svcca": "cca", "pwcca": "cca"})
    )
    write_plots(tmp_path, layers)
    canonical = [name for name in figures if name.startswith("cca_")]
    assert canonical == ["cca_cps_svcca", "cca_cps_pwcca"]
    assert "pearson_cps_cca" in figures
    layers = layers[layers["probe"] != "pwcca"]
    figures.clear()
    write_plots(tmp_path, layers)
    assert "cca_cps" in figures and "pearson_cps_cca" in figures


@pytest.mark.parametrize("only_baselines", [True, False])
def test_baselines_alone_or_no_scores_at_all_are_no_figures(tmp_path, only_baselines):
    layers = make_layers(models=() if only_baselines else FAMILY, probes=("ridge", "cca"))
    if not only_baselines:
        scores = layers.columns[layers.columns.get_loc("n_test") :]
        layers[scores] = np.nan
        layers[["cells", "missing"]] = 0, 5
    assert write_plots(tmp_path, layers) == []
    assert write_plots(tmp_path, layers.iloc[:0]) == []


def test_long_names_are_cut_in_the_middle():
    assert short("abcdefghij", 10) == "abcdefghij"
    assert short("abcdefghijk", 10) == "abcde…hijk"
    assert short("a\nb", 10) == "a b"


def test_classes_are_drawn_by_accuracy_above_the_majority_class(tmp_path, figures):
    layers = make_layers(models=FAMILY, probes=("ridge",), classes=("sex",))
    paths = write_plots(tmp_path, layers)
    assert [path.stem for path in paths if "sex" in path.stem] == [
        "overview_sex",
        "accuracy_sex_logistic",
        "heatmap_sex_logistic",
    ]
    for name in ("overview_sex", "accuracy_sex_logistic"):
        axes = figures[name].axes[0]
        assert axes.get_ylabel() == "accuracy"
        black = [list(line.get_ydata()) for line in axes.lines if line.get_color() == "black"]
        assert black == [[MAJORITY] * 2, [SPEAKER_ACCURACY] * 2]
        assert axes.get_ylim()[0] > 0.3
        labels = [text.get_text() for text in figures[name].legends[0].get_texts()]
        assert "majority class" in labels and "mean predictor" not in labels
        assert "shuffled targets" in labels and "95 % interval over speakers" in labels
    rows = layers[(layers["target"] == "sex") & (layers["model"] == "SimAMResNet34 vb")]
    best = rows.loc[rows["accuracy"].idxmax()]
    labels = figures["accuracy_sex_logistic"].legends[0].get_texts()
    expected = f"SimAMResNet34 vb: best {best['layer']} ({best['accuracy']:.3f})"
    assert labels[0].get_text() == expected
    heatmap, numbers = figures["heatmap_sex_logistic"], figures["heatmap_cps_ridge"]
    assert heatmap.axes[-1].get_title() == "accuracy"
    assert heatmap.axes[0].collections[0].norm.vmin == MAJORITY
    assert figures["overview_cps"].axes[0].get_ylabel() == numbers.axes[-1].get_title() == "R²"


def test_models_of_a_run_of_classes_alone_get_their_colours_by_accuracy():
    layers = make_layers(models=MANY, probes=(), classes=("sex",))
    styles = line_styles(layers)
    coloured = [model for model, (colour, _) in styles.items() if colour != "#BBBBBB"]
    assert coloured == [name for name, _ in MANY[:12]]
