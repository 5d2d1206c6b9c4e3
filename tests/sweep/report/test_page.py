import base64
import hashlib
import json
import re
from html.parser import HTMLParser

import numpy as np
import pytest

from sweep.report.page import render_page
from sweep.report.page_data.chart import chart_data
from sweep.report.page_data.tables import table_data
from sweep.report.section import Content, Section
from sweep.report.sections import glossary, layers, models, provenance
from sweep.report.tables.layer_tables import layers_tables
from tests.support.report_data import make_layers, make_models

EVIL = "</td><script>alert(1)</script><img src=x onerror=\"alert('2')\">& ]]> -->"
PNG = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
)


class Page(HTMLParser):
    """Tags with their attributes, the data, the rows of its tables, and all text elsewhere."""

    def __init__(self, html):
        super().__init__()
        self.tags, self.text, self._inside, self._json = [], "", "", ""
        self.feed(html)
        self.data = json.loads(self._json)
        self.rows = [
            row
            for table in self.data["tables"]
            for row in zip(*map(texts_of, table["columns"]), strict=True)
        ]

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        self._inside = tag

    def handle_endtag(self, tag):
        if tag in ("script", "style"):
            self._inside = ""

    def handle_data(self, data):
        if self._inside == "script" and self.tags[-1][1].get("id") == "data":
            self._json += data
        elif self._inside not in ("script", "style"):
            self.text += data

    def all(self, tag):
        return [attributes for name, attributes in self.tags if name == tag]


def texts_of(column):
    """The texts of a column of a table in the page's data."""
    if "texts" in column:
        return column["texts"]
    return [column["different"][number] for number in column["numbers"]]


def chart_of(table):
    """The page's data of a table of layers."""
    chart = chart_data(table, (("SimAMResNet34 vb", "SimAMResNet34 random"),))
    return {"facts": {"question": "Which layers?", "facts": [["Cells", "2"]]}, "chart": chart}


def rendered(name="run", notes=(), facts=None, plots=(), files=(), **kwargs):
    """The page of made-up curves, with all sections that every report has."""
    table = make_layers(probes=("ridge", "cca"), **kwargs)
    sections = (
        (glossary.SECTION, glossary.content(table)),
        (models.SECTION, models.content(make_models(table), notes)),
        (Section("plots", "Curves", lambda run: None), Content(figures=plots)),
        (layers.SECTION, layers.content(table)),
        (provenance.SECTION, provenance.content(facts or {})),
    )
    return render_page(name, sections, chart_of(table), files)


def test_the_page_says_how_to_read_it_and_shows_notes_and_provenance():
    facts = {"git": {"revision": "abc", "dirty": True}, "seed": 0}
    page = Page(rendered(notes=["3 utterances skipped: silent"], facts=facts))
    expected = ("training", "speakers", "Selectivity", "mean predictor", "3 utterances skipped")
    assert all(text in page.text for text in expected)
    assert '"revision": "abc"' in page.text
    assert "<em>" not in page.text


def test_tables_hold_every_layer_and_the_comparison():
    page = Page(rendered())
    bodies = [row for row in page.rows if row[0] == "SimAMResNet34 vb"]
    assert len(bodies) == 1 + 2 * 51
    assert ("mean predictor", "–") in [row[:2] for row in page.rows]


def test_rows_are_ordered_by_value_not_by_what_is_printed():
    table = make_layers(probes=("ridge",), models=(("a", 30),), baselines=False)
    table["r2"] = 0.5 + np.linspace(0.0004, 0, 30)  # all are printed as 0.500
    columns = table_data(layers_tables(table)[0])["columns"]
    (column,) = [one for one in columns if one["title"].startswith("R²")]
    assert {text.partition(" ")[0] for text in texts_of(column)} == {"0.500"}
    assert column["order"] == list(range(29, -1, -1))


def test_hostile_names_notes_and_provenance_are_text():
    html = rendered(
        name=EVIL,
        notes=[EVIL],
        facts={EVIL: {EVIL: [EVIL]}},
        files=[(EVIL, "tables/x.csv")],
        models=((EVIL, 2), ("b", 2)),
        targets=(EVIL,),
    )
    page = Page(html)
    assert [a.get("type") for a in page.all("script")] == ["application/json", None]
    assert page.all("img") == []
    assert not any(key.startswith("on") for _, attributes in page.tags for key in attributes)
    assert any(row[0] == EVIL for row in page.rows)
    assert page.data["chart"]["models"][0]["name"] == EVIL
    assert page.text.count(EVIL) >= 4
    assert json.dumps({EVIL: {EVIL: [EVIL]}}, indent=1) in page.text


def test_the_page_needs_nothing_else_and_runs_only_its_own_script(tmp_path):
    svg, png = tmp_path / "a.svg", tmp_path / "overview_<b>.png"
    svg.write_text("<svg xmlns='http://www.w3.org/2000/svg'/>")
    png.write_bytes(PNG)
    html = rendered(plots=[png, svg], files=[("tables/a b.csv", "tables/a%20b.csv")])
    page = Page(html)
    sources = [attributes["src"] for attributes in page.all("img")]
    assert [source.split(",")[0] for source in sources] == [
        "data:image/png;base64",
        "data:image/svg+xml;base64",
    ]
    assert base64.b64decode(sources[0].split(",")[1]) == PNG
    assert "overview_<b>" in page.text
    assert page.all("link") == []
    links = {attributes["href"] for attributes in page.all("a")}
    assert {link for link in links if not link.startswith("#")} == {"tables/a%20b.csv"}
    # The one address is the name of a namespace, which nothing asks for.
    assert set(re.findall(r"https?://[^\s\"']*", html)) == {"http://www.w3.org/2000/svg"}
    policy = next(a["content"] for a in page.all("meta") if "http-equiv" in a)
    assert "default-src 'none'" in policy and "unsafe" not in policy
    for element in ("script", "style"):
        source = re.search(f"<{element}>(.*)</{element}>", html, re.DOTALL)[1]
        digest = base64.b64encode(hashlib.sha256(source.encode()).digest()).decode()
        assert f"{element}-src 'sha256-{digest}'" in policy


def test_links_lead_to_places_on_the_page():
    page = Page(rendered(files=[("spec.yaml", "spec.yaml")]))
    anchors = {a["href"] for a in page.all("a") if a["href"].startswith("#")}
    places = {attributes["id"] for _, attributes in page.tags if "id" in attributes}
    assert len(anchors) == 4
    assert {anchor.removeprefix("#") for anchor in anchors} <= places


def test_sections_with_the_same_tab_share_it_and_those_with_files_only_have_none(tmp_path):
    sections = (
        (Section("a", "A", lambda run: None, tab="both"), Content(notes=["one"])),
        (Section("b", "B", lambda run: None, tab="both"), Content(notes=["two"])),
        (Section("c", "C", lambda run: None), Content(files=[tmp_path / "c.svg"])),
    )
    page = Page(render_page("run", sections))
    assert [attributes["href"] for attributes in page.all("a")] == ["#tab-a"]
    assert {attributes["id"] for attributes in page.all("h2")} == {"a", "b"}


def test_rendering_again_gives_the_same_bytes():
    assert rendered() == rendered()


def test_a_plot_that_is_no_image_is_refused(tmp_path):
    with pytest.raises(ValueError, match=r"expected a \.png or \.svg file"):
        rendered(plots=[tmp_path / "plot.pdf"])


def test_the_page_explains_what_it_shows_of_numbers_and_of_classes():
    numbers = Page(rendered()).text
    assert "Mean predictor" in numbers and "Selection-corrected R²" in numbers
    assert "most frequent class" not in numbers
    both = Page(rendered(classes=("sex",)))
    both = both.text + str(both.data["tables"])
    assert "The accuracy of always predicting one class" in both
    assert "Selection-corrected R² or accuracy" in both and "Macro F1" in both
