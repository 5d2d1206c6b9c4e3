import base64
import hashlib
import json
import re
from html.parser import HTMLParser

import pytest

from sweep.report.page import render_page
from sweep.report.section import Content, Section
from sweep.report.sections import glossary, layers, models, provenance
from tests.support.report_data import make_layers, make_models

EVIL = "</td><script>alert(1)</script><img src=x onerror=\"alert('2')\">& ]]> -->"
PNG = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
)


class Page(HTMLParser):
    """Tags with their attributes, table rows, and all text outside of scripts and styles."""

    def __init__(self, html):
        super().__init__()
        self.tags, self.rows, self.text, self._inside = [], [], "", ""
        self.feed(html)

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        self._inside = tag
        if tag == "tr":
            self.rows.append([])
        elif tag in ("td", "th"):
            self.rows[-1].append("")

    def handle_endtag(self, tag):
        if tag in ("script", "style", "td"):
            self._inside = ""

    def handle_data(self, data):
        if self._inside in ("script", "style"):
            return
        self.text += data
        if self._inside in ("td", "button"):
            self.rows[-1][-1] += data

    def all(self, tag):
        return [attributes for name, attributes in self.tags if name == tag]


def rendered(name="run", notes=(), facts=None, plots=(), **kwargs):
    """The page of made-up curves, with all sections that every report has."""
    table = make_layers(probes=("ridge", "cca"), **kwargs)
    sections = (
        (models.SECTION, models.content(make_models(table), notes)),
        (glossary.SECTION, glossary.content(table)),
        (Section("plots", "Curves", lambda run: None), Content(figures=plots)),
        (layers.SECTION, layers.content(table)),
        (provenance.SECTION, provenance.content(facts or {})),
    )
    return render_page(name, sections)


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
    assert ["mean predictor", "–"] in [row[:2] for row in page.rows]


def test_cells_are_sorted_by_value_not_by_what_is_printed():
    html = rendered()
    keys = [
        float(attributes["data-key"])
        for attributes in Page(html).all("td")
        if attributes.get("class") == "number" and "data-key" in attributes
    ]
    assert any(round(key, 3) != key for key in keys)


def test_hostile_names_notes_and_provenance_are_text():
    html = rendered(
        name=EVIL,
        notes=[EVIL],
        facts={EVIL: {EVIL: [EVIL]}},
        models=((EVIL, 2), ("b", 2)),
        targets=(EVIL,),
    )
    page = Page(html)
    assert len(page.all("script")) == 1
    assert page.all("img") == []
    assert not any(key.startswith("on") for _, attributes in page.tags for key in attributes)
    assert any(row[0] == EVIL for row in page.rows)
    assert page.text.count(EVIL) >= 4
    assert json.dumps({EVIL: [EVIL]}, indent=1) in page.text


def test_the_page_needs_nothing_else_and_runs_only_its_own_script(tmp_path):
    svg, png = tmp_path / "a.svg", tmp_path / "overview_<b>.png"
    svg.write_text("<svg xmlns='http://www.w3.org/2000/svg'/>")
    png.write_bytes(PNG)
    html = rendered(plots=[png, svg])
    page = Page(html)
    sources = [attributes["src"] for attributes in page.all("img")]
    assert [source.split(",")[0] for source in sources] == [
        "data:image/png;base64",
        "data:image/svg+xml;base64",
    ]
    assert base64.b64decode(sources[0].split(",")[1]) == PNG
    assert "overview_<b>" in page.text
    assert page.all("link") == []
    assert all(attributes["href"].startswith("#") for attributes in page.all("a"))
    assert re.search(r"https?://", html) is None
    policy = next(a["content"] for a in page.all("meta") if "http-equiv" in a)
    script = re.search(r"<script>(.*)</script>", html, re.DOTALL)[1]
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    assert "default-src 'none'" in policy
    assert f"script-src 'sha256-{digest}'" in policy


def test_links_lead_to_headings():
    page = Page(rendered())
    anchors = {attributes["href"].removeprefix("#") for attributes in page.all("a")}
    assert anchors == {attributes["id"] for attributes in page.all("h2")}


def test_rendering_again_gives_the_same_bytes():
    assert rendered() == rendered()


def test_a_plot_that_is_no_image_is_refused(tmp_path):
    with pytest.raises(ValueError, match=r"expected a \.png or \.svg file"):
        rendered(plots=[tmp_path / "plot.pdf"])


def test_the_page_explains_what_it_shows_of_numbers_and_of_classes():
    numbers = Page(rendered()).text
    assert "Mean predictor" in numbers and "Selection-corrected R²" in numbers
    assert "most frequent class" not in numbers
    both = Page(rendered(classes=("sex",))).text
    assert "The accuracy of always predicting one class" in both
    assert "Selection-corrected R² or accuracy" in both and "Macro F1" in both
