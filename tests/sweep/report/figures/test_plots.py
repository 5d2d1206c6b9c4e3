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
from sweep.report.figures.plots import write_metrics, write_plots
from sweep.report.figures.scores import MSE, R2
from sweep.report.figures.style import NARROW, PAGE, WIDTH, figure_style, short
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
    """The wide figures that are made, by name, instead of their files."""
    made = {}

    def keep_both(draw, folder, name):
        made[name] = draw(WIDTH)
        return folder / f"{name}.png"

    for module in (sweep.report.figures.plots, sweep.report.figures.heatmap):
        monkeypatch.setattr(module, "save_both", keep_both)
    return made


def written_in(figure):
    """All texts of a figure outside its axes, in one line."""
    return " ".join(text.get_text() for text in figure.texts)


def test_a_target_has_one_figure_of_its_main_score_in_two_widths_and_three_formats(tmp_path):
    paths = write_plots(tmp_path, make_layers(probes=("ridge", "cca")))
    assert [path.stem for path in paths] == ["overview_cps", "cca_cps"]
    files = {f"{path.stem}.{end}" for path in paths for end in ("png", "svg", "pdf")}
    narrow = tmp_path / "single-column"
    assert {path.name for path in tmp_path.iterdir()} == files | {narrow.name}
    assert {path.name for path in narrow.iterdir()} == files
    for folder, width in ((tmp_path, WIDTH), (narrow, NARROW)):
        for path in paths:
            with Image.open(folder / path.name) as image:
                assert image.width == round(width * 300)
                assert image.height <= PAGE * 300
                assert image.info["dpi"] == pytest.approx((300, 300), abs=0.1)
            pdf = (folder / path.name).with_suffix(".pdf").read_bytes()
            assert b"/Type0" in pdf and b"/Type3" not in pdf  # text as text


def test_other_metrics_are_drawn_on_demand_with_their_unit(tmp_path, figures):
    layers = make_layers(probes=("ridge",), classes=("sex",))
    write_metrics(tmp_path, layers, ["mse", "pearson", "balanced_accuracy", "mse"])
    assert list(figures) == ["mse_cps", "pearson_cps", "balanced_accuracy_sex"]
    axes = figures["mse_cps"].axes[0]
    assert axes.get_ylabel() == "MSE ((characters/s)²)"
    low, high = axes.get_ylim()
    assert 0 < low < MEAN_MSE < high < 2 * MEAN_MSE


def test_equal_numbers_give_equal_bytes_whatever_the_users_settings(tmp_path):
    layers = make_layers(probes=("ridge",))
    digests = []
    for number, settings in enumerate(({}, {"font.size": 20, "svg.hashsalt": "x"})):
        with matplotlib.rc_context(settings):
            before = dict(matplotlib.rcParams)
            write_plots(tmp_path / str(number), layers)
            assert dict(matplotlib.rcParams) == before
        files = sorted((tmp_path / str(number)).rglob("*.*"))
        digests.append(
            {
                str(f.relative_to(tmp_path / str(number))): hashlib.sha256(
                    f.read_bytes()
                ).hexdigest()
                for f in files
            }
        )
    assert digests[0] == digests[1]


def test_svg_text_is_text_and_names_lines_references_and_best_layers(tmp_path):
    layers = make_layers(probes=("ridge",))
    (path,) = write_plots(tmp_path, layers)
    texts = texts_of(path)
    for model in ("SimAMResNet34 vb", "SimAMResNet34 random"):
        one = layers[layers["model"] == model]
        best = one.loc[one["r2"].idxmax()]
        assert model in texts
        assert f"{best['layer']} {best['r2']:.2f}" in texts
    expected = {"mean predictor", "duration only", "fbank only", "speaker mean", "R²"}
    assert expected | {"shuffled targets", "stem", "layer2", "layer3", "embedding"} <= set(texts)


def test_hostile_names_are_drawn_as_they_are(tmp_path):
    (path,) = write_plots(tmp_path, make_layers(models=HOSTILE, probes=("a b",), targets=("c$/d",)))
    assert path.stem == "overview_c-d"
    assert any(text.startswith("$\\frac{a}$ 5$ <b>") for text in texts_of(path))


def test_targets_that_make_the_same_file_name_do_not_overwrite_each_other(tmp_path, figures):
    layers = make_layers(models=SINGLE, probes=("ridge",), targets=("a b", "a-b"))
    assert [path.stem for path in write_plots(tmp_path, layers)] == [
        "overview_a-b",
        "overview_a-b-2",
    ]


def drawn_boxes(figure, renderer):
    """Where all texts of a figure are, in pixels."""
    texts = [*figure.texts, *(t for legend in figure.legends for t in legend.get_texts())]
    texts += [text for axes in figure.axes for text in (axes.title, *axes.texts)]
    boxes = [text.get_window_extent(renderer) for text in texts if text.get_text()]
    axes = [axis for axes in figure.axes for axis in (axes.xaxis, axes.yaxis)]
    return boxes + [box for axis in axes if (box := axis.get_tightbbox(renderer)) is not None]


@pytest.mark.parametrize("width", [WIDTH, NARROW])
@pytest.mark.parametrize("models", [FAMILY, UNEQUAL, HOSTILE, MANY, SINGLE, LONG_LAYERS])
def test_no_text_is_cut_or_too_small_and_no_ticks_overlap(tmp_path, monkeypatch, models, width):
    made = {}
    for module in (sweep.report.figures.plots, sweep.report.figures.heatmap):
        monkeypatch.setattr(
            module, "save_both", lambda draw, folder, name: made.update({name: draw(width)})
        )
    layers = make_layers(models=models, probes=("ridge", "study-mlp", "a" * 80))
    if models is LONG_LAYERS:
        layers["layer"] = [f"encoder.{name}.with.a.long.name" for name in layers["layer"]]
    write_plots(tmp_path, layers)
    assert ("heatmap_cps_ridge" in made) == (models is MANY)
    for figure in (made[name] for name in ("overview_cps", "heatmap_cps_ridge") if name in made):
        with figure_style():
            renderer = FigureCanvasAgg(figure).get_renderer()
            figure.draw(renderer)
            boxes = drawn_boxes(figure, renderer)
        for box in boxes:
            assert box.x0 >= -1 and box.y0 >= -1
            assert box.x1 <= figure.bbox.x1 + 1 and box.y1 <= figure.bbox.y1 + 1
        below = []
        for axes in figure.axes:
            assert all(text.get_fontsize() >= 7 for text in (*axes.texts, *axes.get_yticklabels()))
            below += [t.get_window_extent(renderer) for t in axes.texts if t.get_va() == "top"]
        assert not any(a.overlaps(b) for a, b in itertools.combinations(below, 2))


def test_networks_of_different_layers_have_an_axis_of_their_own_with_names(tmp_path, figures):
    layers = make_layers(models=(*UNEQUAL, ("small", 4)), probes=("ridge",))
    write_plots(tmp_path, layers)
    panels = figures["overview_cps"].axes
    names = [{text.get_text() for text in axes.texts} for axes in panels]
    assert len(panels) == 3
    assert all({"stem", "layer1", "layer3", "embedding"} <= names[n] for n in (0, 1))
    assert {"layer0", "layer1", "layer2", "layer3"} <= names[2]
    assert [round(axes.get_xlim()[1]) for axes in panels] == [52, 153, 3]
    titles = written_in(figures["overview_cps"])
    assert "R34 vb, R34 vb+vc" in titles and "R100 vb, R100 vc" in titles and "small" in titles


def test_many_networks_of_the_same_layers_have_panels_of_their_own_before_the_others(
    tmp_path, figures
):
    models = tuple((f"network {number}", 12) for number in range(7))
    write_plots(tmp_path, make_layers(models=models, probes=("ridge",)))
    panels = figures["overview_cps"].axes
    assert len(panels) == 7
    grey = [line for line in panels[0].lines if line.get_color() == "#CFCFCF"]
    assert len(grey) == 6
    assert "the other networks" in written_in(figures["overview_cps"])


def test_an_axis_of_some_layers_begins_at_the_first_of_them(tmp_path, figures):
    layers = make_layers(models=FAMILY, probes=("ridge",))
    baseline = layers["layer"].isin(["duration", "statistics"])
    write_plots(tmp_path, layers[baseline | layers["layer_index"].isin([20, 21, 30])])
    axes = figures["overview_cps"].axes[0]
    assert 19 < axes.get_xlim()[0] < 20
    names = layer_names(51)
    below = [text.get_text() for text in axes.texts if text.get_va() == "top"]
    assert below == [names[20], names[21], names[30]]
    assert list(axes.get_xticks()) == [20, 21, 30]


def test_models_beyond_the_palette_are_grey_and_counted(tmp_path, figures):
    layers = make_layers(models=MANY, probes=("ridge",))
    styles = line_styles(layers)
    coloured = [model for model, (colour, _) in styles.items() if colour != "#BBBBBB"]
    assert coloured == [name for name, _ in MANY[:12]]
    assert len({styles[model] for model in coloured}) == 12
    write_plots(tmp_path, layers)
    assert len(figures["overview_cps"].axes) == 20
    assert "heatmap_cps_ridge" in figures


def test_a_very_bad_probe_is_cut_and_the_cut_is_told():
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
    axes = figures["overview_cps"].axes[0]
    marks = [line for line in axes.lines if line.get_marker() == "v"]
    assert sum(len(line.get_xdata()) for line in marks) == 2
    assert "fbank only ▼" in {text.get_text() for text in axes.texts}
    assert "▼: beyond the axis." in written_in(figures["overview_cps"])
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
    at = layers[layers["model"] == "baseline:fbank"].set_index("probe")["r2"]
    dashes = set()
    for axes, probe in zip(overview.axes, ("ridge", "mlp"), strict=False):
        (drawn,) = [line for line in axes.lines if list(line.get_ydata()) == [at[probe]] * 2]
        dashes.add(str(drawn._unscaled_dash_pattern))
    assert len(dashes) == 1


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
    figure = figures["overview_cps"]
    assert len(figure.axes) == 1  # of ridge
    line, single, *_ = curve_lines(figure, line_styles(layers)["m"][0])
    assert np.flatnonzero(np.isnan(line.get_ydata())).tolist() == [5, 6, 8]
    assert list(single.get_xdata()) == [7]  # between two gaps, where a line shows nothing


def test_a_point_that_lacks_cells_is_an_open_square_and_not_the_best(tmp_path, figures):
    layers = make_layers(models=(("m", 51),), probes=("ridge",))
    layers["level"] = "unspecified"
    layers.loc[layers["layer_index"] == 30, ["cells", "missing", "r2"]] = 4, 1, 0.99
    write_plots(tmp_path, layers)
    figure = figures["overview_cps"]
    lines = curve_lines(figure, line_styles(layers)["m"][0])
    (square,) = [line for line in lines if line.get_marker() == "s"]
    assert list(square.get_xdata()) == [30] and square.get_markerfacecolor() == "white"
    (best,) = [line for line in lines if line.get_markersize() == 5.5]
    assert list(best.get_xdata()) != [30]
    assert "fewer cells than planned" in written_in(figure)


def test_nothing_is_marked_where_every_cell_is_there(tmp_path, figures):
    write_plots(tmp_path, make_layers(probes=("ridge",)))
    assert "fewer cells" not in written_in(figures["overview_cps"])


def test_a_score_that_one_speaker_decides_is_marked_and_its_value_without_given(tmp_path, figures):
    layers = make_layers(models=FAMILY, probes=("ridge",))
    one = layers[layers["model"] == "SimAMResNet34 vb"]
    best, other = one["r2"].idxmax(), one["r2"].idxmin()
    layers.loc[[best, other], "level"] = "block output"
    layers.loc[[best, other], "influential_speaker"] = "s7"
    layers.loc[[best, other], "r2_without_speaker"] = 0.31
    write_plots(tmp_path, layers)
    figure = figures["overview_cps"]
    marks = [line for line in figure.axes[0].lines if line.get_marker() == "D"]
    assert {x for line in marks for x in line.get_xdata()} == set(
        layers.loc[[best, other], "layer_index"]
    )
    row = layers.loc[best]
    named = {text.get_text() for text in figure.axes[0].texts}
    assert f"{row['layer']} {row['r2']:.2f} ◇" in named
    assert f"SimAMResNet34 vb, cps, {row['layer']}: 0.31 without s7" in written_in(figure)


def test_several_untrained_seeds_are_one_line_of_means_with_their_range(tmp_path, figures):
    names = ("net", "net untrained 0", "net untrained 1", "net untrained 2")
    layers = make_layers(models=tuple((name, 6) for name in names), probes=("ridge",))
    write_plots(tmp_path, layers, {("net", name) for name in names[1:]})
    figure = figures["overview_cps"]
    (axes,) = figure.axes
    seeds = layers[layers["model"].isin(names[1:])].pivot(
        index="layer_index", columns="model", values="r2"
    )
    colour = line_styles(layers[layers["model"].isin(names[:2])], {names[:2]})[names[1]][0]
    line = next(line for line in axes.lines if line.get_color() == colour)
    assert list(line.get_ydata()) == pytest.approx(seeds.mean(axis=1).tolist())
    band = axes.collections[-1].get_paths()[0].vertices[:, 1]
    assert {seeds.to_numpy().min(), seeds.to_numpy().max()} <= set(band)
    text = written_in(figure)
    assert "untrained net, 3 seeds" in text and "the range over seeds" in text
    assert "net untrained 0" not in text


def test_cca_is_known_by_its_kind_and_its_probes_have_a_panel_each(tmp_path, figures):
    layers = make_layers(models=SINGLE, probes=("cca", "svcca", "pwcca"))
    layers["probe_kind"] = (
        layers["probe"].astype(str).map({"cca": "ridge", "svcca": "cca", "pwcca": "cca"})
    )
    write_plots(tmp_path, layers)
    assert list(figures) == ["overview_cps", "cca_cps"]
    assert "svcca pwcca" in written_in(figures["cca_cps"])


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
    write_plots(tmp_path, layers)
    assert list(figures) == ["overview_cps", "overview_sex"]
    axes = figures["overview_sex"].axes[0]
    assert axes.get_ylabel() == "accuracy"
    black = [list(line.get_ydata()) for line in axes.lines if line.get_color() == "black"]
    assert black == [[MAJORITY] * 2, [SPEAKER_ACCURACY] * 2]
    named = {text.get_text() for text in axes.texts}
    assert "majority class" in named and "mean predictor" not in named
    text = written_in(figures["overview_sex"])
    assert "shuffled targets" in text and "95 % interval over speakers" in text
    rows = layers[(layers["target"] == "sex") & (layers["model"] == "SimAMResNet34 vb")]
    best = rows.loc[rows["accuracy"].idxmax()]
    assert f"{best['layer']} {best['accuracy']:.2f}" in named


def test_models_of_a_run_of_classes_alone_get_their_colours_by_accuracy():
    layers = make_layers(models=MANY, probes=(), classes=("sex",))
    styles = line_styles(layers)
    coloured = [model for model, (colour, _) in styles.items() if colour != "#BBBBBB"]
    assert coloured == [name for name, _ in MANY[:12]]
