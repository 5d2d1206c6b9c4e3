// Tables: drawn from the data, sorted by a click on a heading, filtered by typing, copied as text.

const ROWS_AT_ONCE = 200;

/** The texts of a column, by row. */
const textsOf = column => column.texts ?? column.numbers.map(number => column.different[number]);

/** Class of a cell: numbers are aligned, and long texts may break. */
const kindOf = (column, row) => column.numeric ? "number" : column.texts[row].length > 44 ? "long" : null;

class SortedTable {
  /** A table in `place`; `data` has `rows`, a count, and `columns`. */
  constructor(place, data) {
    this.columns = data.columns.map(column => ({ ...column, texts: textsOf(column) }));
    this.rows = Array.from({ length: data.rows }, (_, row) => row);
    this.sortedBy = null;
    this.upwards = true;
    this.words = [];
    this.limit = ROWS_AT_ONCE;
    this.body = html("tbody");
    this.count = html("span", { class: "dim", role: "status" });
    this.more = button("", () => { this.limit = Infinity; this.draw(); }, { class: "more" });
    this.heads = this.columns.map((column, at) => html("th",
      { scope: "col", class: column.numeric ? "number" : null },
      button(column.title, () => this.sort(at))));
    const table = html("table", {}, html("thead", {}, html("tr", {}, this.heads)), this.body);
    place.append(this.tools(), html("div", { class: "wide", tabindex: 0, role: "group",
      "aria-label": "Table, scrolls" }, table), this.more);
    this.draw();
  }

  /** The field to filter by, the number of rows, and the buttons to copy. */
  tools() {
    const field = html("input", { type: "search", placeholder: "Filter rows", "aria-label": "Filter rows" });
    field.addEventListener("input", () => {
      this.words = field.value.toLowerCase().split(/\s+/).filter(Boolean);
      this.draw();
    });
    const copies = Object.entries(FORMATS).map(([name, format]) =>
      button(name, event => copyText(format(this.heading(), this.shownTexts(),
        this.columns.map(column => column.numeric)), event.currentTarget)));
    return html("div", { class: "tools" }, this.rows.length > 7 ? field : null, this.count,
      html("span", { class: "copies", role: "group", "aria-label": "Copy the table as" },
        html("span", { class: "dim" }, "Copy as"), copies));
  }

  heading() { return this.columns.map(column => column.title); }

  /** Rows that hold all words of the filter, as they are sorted. */
  shown() {
    if (!this.words.length) return this.rows;
    return this.rows.filter(row => {
      const text = this.columns.map(column => column.texts[row]).join("\n").toLowerCase();
      return this.words.every(word => text.includes(word));
    });
  }

  shownTexts() { return this.shown().map(row => this.columns.map(column => column.texts[row])); }

  /** Sort by a column, upwards, or downwards if it is sorted already; what has no value comes last. */
  sort(at) {
    this.upwards = this.sortedBy === at ? !this.upwards : true;
    this.sortedBy = at;
    const column = this.columns[at], sign = this.upwards ? 1 : -1;
    const key = row => column.order ? column.order[row] : (column.keys ?? column.texts)[row];
    const lacks = row => column.order ? key(row) < 0 : key(row) === null || key(row) === "–";
    const order = (a, b) => column.order ? a - b
      : String(a).localeCompare(String(b), undefined, { numeric: true });
    this.rows.sort((a, b) => lacks(a) || lacks(b)
      ? Number(lacks(a)) - Number(lacks(b)) : sign * order(key(a), key(b)));
    this.heads.forEach((head, other) => other === at
      ? head.setAttribute("aria-sort", this.upwards ? "ascending" : "descending")
      : head.removeAttribute("aria-sort"));
    this.draw();
  }

  draw() {
    const shown = this.shown(), drawn = shown.slice(0, this.limit);
    this.body.replaceChildren(...drawn.map(row => html("tr", {}, this.columns.map((column, at) =>
      html(at ? "td" : "th", { scope: at ? null : "row", class: kindOf(column, row) }, column.texts[row])))));
    const all = this.rows.length, few = shown.length < all ? `${shown.length} of ${all}` : all;
    this.count.textContent = `${few} ${all === 1 ? "row" : "rows"}`;
    this.more.hidden = drawn.length === shown.length;
    this.more.textContent = `Show all ${shown.length} rows`;
  }
}

/** Draw the tables that the page has places for. */
function drawTables() {
  for (const place of document.querySelectorAll(".table[data-table]"))
    new SortedTable(place, DATA.tables[Number(place.dataset.table)]);
}
