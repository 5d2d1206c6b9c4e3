"""The page in a real browser: every control does what it says, and nothing else happens."""

import csv
import re
import shutil

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import expect, sync_playwright

from sweep.report.tables.markup import to_latex, to_markdown
from tests.support.browser_page import EVIL, RIGHT, ROWS, WRONG, table_with_marks, write_page

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser"))), None)
pytestmark = pytest.mark.skipif(
    CHROMIUM is None, reason="no Chromium on this machine: apt-get install chromium"
)
SECONDS = 300
"""Patience with a busy machine; nothing that works takes as long."""
expect.set_options(timeout=1000 * SECONDS)


@pytest.fixture(scope="module")
def address(tmp_path_factory):
    """Where the page is: on disk, as a reader opens it."""
    return write_page(tmp_path_factory.mktemp("page")).as_uri()


@pytest.fixture(scope="module")
def browser():
    # One browser, closed with the module: its event loop would be in the way of other tests.
    with sync_playwright() as playwright:
        launched = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield launched
        launched.close()


@pytest.fixture
def open_page(browser, address):
    """Opens the page in a window of its own; at the end, nothing may have gone wrong in any."""
    contexts, wrong = [], []

    def open_in(fragment="", **settings):
        context = browser.new_context(**{"viewport": {"width": 1280, "height": 900}, **settings})
        context.set_default_timeout(1000 * SECONDS)
        contexts.append(context)
        page = context.new_page()
        page.on("console", lambda message: wrong.append(message.text))
        page.on("pageerror", lambda error: wrong.append(str(error)))
        page.on(
            "request",
            lambda request: request.url.partition("#")[0] == address or wrong.append(request.url),
        )
        page.goto(address + fragment)
        return page

    yield open_in
    for context in contexts:
        context.close()
    assert wrong == []


@pytest.fixture
def page(open_page):
    return open_page()


def lines(page):
    return page.locator("#plot path.line").count()


def labels(page):
    """Texts of the chart: ticks, names, and best layers."""
    return page.locator("#plot svg text").all_text_contents()


def test_nothing_is_asked_for_and_hostile_names_are_shown(page):
    assert page.title() == "made up"
    assert page.locator("img").count() == 0
    assert page.locator("#models label").nth(1).inner_text() == EVIL
    assert EVIL in page.locator("#tab-models table").first.inner_text()
    assert page.locator("ul.headlines li").all_inner_texts() == ["1", EVIL]


def test_choices_change_the_chart_and_offer_what_there_is(page):
    assert page.locator("#plot .title").first.text_content() == "R²"
    assert lines(page) == 2
    page.select_option("#metric", label="MSE")
    assert "MSE (" in page.locator("#plot .title").first.text_content()
    page.select_option("#probe", label="mlp")
    page.select_option("#target", label="sex of the speaker")
    assert page.locator("#plot .title").first.text_content() == "accuracy"
    assert page.locator("#probe").input_value() == "logistic"
    assert page.locator("#probe").is_disabled()
    options = page.locator("#metric option").all_text_contents()
    assert "balanced accuracy" in options and "MSE" not in options


def test_models_and_taps_are_switched_on_and_off(page):
    joined = page.locator("#plot circle.dot").count()
    page.get_by_label("all taps").check()
    assert page.locator("#plot circle.dot").count() == 2 * 51 > joined
    page.get_by_label(EVIL).uncheck()
    assert (lines(page), page.locator("#plot circle.dot").count()) == (1, 51)
    page.locator("#models input").first.uncheck()
    assert lines(page) == 0
    expect(page.locator("#details")).to_be_hidden()


def test_the_pointer_shows_a_layer_and_a_click_its_predictions(page):
    dot = page.locator("#plot circle.dot").first
    dot.hover(force=True)
    tip = page.locator("#plot .tip")
    expect(tip).to_be_visible()
    for said in ("stem", "net", "R²", "beyond the input (fbank only)", "400 utterances", "64"):
        assert said in tip.inner_text()
    assert re.search(r"0\.\d{3} \[0\.\d{3}, 0\.\d{3}\]", tip.inner_text())
    dot.click(force=True)
    details = page.locator("#details")
    assert details.locator("h2").inner_text().startswith("stem")
    assert details.locator("figcaption").all_inner_texts() == [
        "True against predicted",
        "Errors by speaker",
    ]
    assert details.locator("circle.spot:not(.strong)").count() == 40
    assert details.locator("circle.spot.strong").count() == 8


def test_the_chart_is_used_with_the_keyboard_alone(page):
    page.locator("#plot svg").focus()
    page.keyboard.press("ArrowRight")
    first = page.locator("#plot .tip strong").inner_text()
    page.keyboard.press("ArrowRight")
    assert (first, page.locator("#plot .tip strong").inner_text()) == ("stem", "layer1.0.relu2")
    page.keyboard.press("ArrowDown")
    assert EVIL in page.locator("#plot .tip").inner_text()
    assert "layer1.0.relu2" in page.locator("#announcement").inner_text()
    page.keyboard.press("Enter")
    heading = page.locator("#details h2")
    expect(heading).to_be_focused()
    assert EVIL in heading.inner_text()
    page.get_by_role("button", name="Next layer").press("Enter")
    assert page.locator("#details h2").inner_text().startswith("layer1.1.relu1")
    expect(page.locator("#after")).to_be_focused()


def test_numbers_of_a_figure_are_a_table_that_can_be_read_and_copied(page):
    page.locator("#details summary").first.press("Enter")
    rows = page.locator("#details tbody tr")
    expect(rows).to_have_count(40)
    name, speaker, true, predicted, error = rows.first.locator("th, td").all_inner_texts()
    assert (name, speaker, true) == ("s0-u0", "s0", "8.00")
    minus = error.replace("−", "-")
    assert float(predicted) - float(true) == pytest.approx(float(minus), abs=0.06)


def test_classes_have_a_confusion_matrix_and_the_embedding_a_map(page):
    page.select_option("#target", label="sex of the speaker")
    cells = page.locator("#details .confusion td").all_inner_texts()
    assert sum(int(cells[at]) for at in (0, 3)) == RIGHT
    assert sum(int(cells[at]) for at in (1, 2)) == WRONG
    page.locator("#plot svg").focus()
    page.keyboard.press("End")
    page.keyboard.press("Enter")
    assert "Map of the embedding" in page.locator("#details").inner_text()
    assert page.locator("#details .spot.map").count() == 40
    assert page.locator("#details .keys span").all_inner_texts() == ["F", "M"]


def test_tabs_open_with_clicks_keys_and_links(open_page):
    page = open_page("#marks")
    assert page.locator("[role=tabpanel]:visible").get_attribute("id") == "tab-marks"
    page.get_by_role("tab", name="Methods").click()
    assert page.locator("[role=tabpanel]:visible h2").all_inner_texts() == ["Methods"]
    page.keyboard.press("ArrowRight")
    expect(page.get_by_role("tab", name="Provenance")).to_be_focused()
    expect(page.get_by_role("tab", name="Provenance")).to_have_attribute("aria-selected", "true")
    page.keyboard.press("Home")
    assert page.locator("[role=tabpanel]:visible").get_attribute("id") == "tab-models"
    page.get_by_role("tab", name="Files").click()
    assert page.locator("#tab-files a").get_attribute("href") == "spec.yaml"


def test_the_heat_map_leads_to_a_layer(open_page):
    page = open_page("#heatmap")
    drawing = page.locator("#tab-heatmap svg")
    assert drawing.locator("rect[data-layer]").count() == 2 * 51
    drawing.focus()
    for key in ("ArrowRight", "ArrowRight", "ArrowDown", "Enter"):
        page.keyboard.press(key)
    heading = page.locator("#details h2")
    expect(heading).to_be_focused()
    assert heading.inner_text().startswith("layer1.0.relu1") and EVIL in heading.inner_text()


def test_errors_are_shown_of_the_best_layer_of_every_model(open_page):
    page = open_page("#residuals")
    captions = page.locator("#tab-residuals figcaption").all_inner_texts()
    assert len(captions) == 2 and captions[0].startswith("net: ")
    page.get_by_label(EVIL).uncheck()
    assert page.locator("#tab-residuals figcaption").count() == 1


def test_tables_are_sorted_and_filtered(open_page):
    page = open_page("#layers")
    table = page.locator("#tab-layers .table").first
    head = table.get_by_role("columnheader", name="R² [95 %]")
    column = table.locator("thead th").all_inner_texts().index("R² [95 %]")
    for order in ("ascending", "descending"):
        head.get_by_role("button").click()
        expect(head).to_have_attribute("aria-sort", order)
        values = [
            float(row.split("\t")[column].split(" ")[0].replace("−", "-"))
            for row in table.locator("tbody tr").all_inner_texts()
        ]
        assert values == sorted(values, reverse=order == "descending")
    assert "Show all 208 rows" in table.inner_text()
    table.get_by_role("button", name="Show all").click()
    assert table.locator("tbody tr").count() == 208
    table.get_by_label("Filter rows").fill("layer3.1.relu2 mlp")
    assert table.locator("tbody tr").count() == 2
    assert "2 of 208 rows" in table.inner_text()


def test_tables_and_texts_are_copied(open_page):
    page = open_page("#marks", permissions=["clipboard-read", "clipboard-write"])
    table, copied = page.locator("#tab-marks .table"), {}
    table.get_by_role("button", name="Value").click()
    for name in ("CSV", "Markdown", "LaTeX"):
        pressed = table.get_by_role("button", name=name)
        pressed.click()
        expect(table.get_by_role("button", name="Copied").last).to_be_visible()
        copied[name] = page.evaluate("navigator.clipboard.readText()")
    in_order = sorted(ROWS, key=lambda row: float(row[1]))
    assert [tuple(row) for row in csv.reader(copied["CSV"].splitlines())] == [
        ("Name", "Value"),
        *in_order,
    ]
    made = table_with_marks()
    rows = tuple(sorted(made.rows, key=lambda row: row[1].key))
    expected = type(made)(made.header, made.numeric, rows)
    assert squeezed(copied["Markdown"]) == squeezed(to_markdown([expected], []))
    assert copied["LaTeX"] == to_latex([expected], [])
    page.get_by_role("tab", name="Methods").click()
    page.locator("#tab-methods button.copy").click()
    expect(page.locator("#tab-methods button.copy")).to_have_text("Copied")
    assert page.evaluate("navigator.clipboard.readText()") == "Probes were <fitted>."


def squeezed(markdown):
    """Markdown without the spaces and dashes that align its columns."""
    return re.sub(r"-+", "-", re.sub(r" +", " ", markdown))


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing_serious(open_page, scheme):
    page = open_page(color_scheme=scheme)
    page.locator("details.reading summary").click()
    for panel in ("heatmap", "residuals", "methods", "provenance"):  # all in one go: axe is slow
        page.evaluate(f"byId('tab-{panel}').classList.remove('closed')")
    rules = {"runOnly": ["color-contrast"]} if scheme == "dark" else {}
    found = Axe().run(page, options=rules).response["violations"]
    serious = [one for one in found if one["impact"] in ("serious", "critical")]
    assert [(one["id"], one["nodes"][0]["html"]) for one in serious] == []


@pytest.mark.parametrize("width", [390, 768])
def test_a_narrow_window_scrolls_in_one_direction_only(open_page, width):
    page = open_page(viewport={"width": width, "height": 844})
    assert page.evaluate("document.documentElement.scrollWidth") == width
    box = page.locator("#plot svg").bounding_box()
    assert box["x"] >= 0 and box["x"] + box["width"] <= width


def test_all_tabs_are_printed_and_no_controls(page):
    page.emulate_media(media="print")
    panels = page.locator("[role=tabpanel]")
    assert all(panel.is_visible() for panel in panels.all())
    for control in (".tabs", ".choices", ".tools"):
        expect(page.locator(control).first).to_be_hidden()


def test_without_its_script_the_page_says_where_the_numbers_are(open_page):
    page = open_page(java_script_enabled=False)
    assert "The same numbers are in the folders tables and plots" in re.sub(
        r"\s+", " ", page.locator("noscript").inner_text()
    )
    assert page.locator("section.panel:visible").count() == 8
