// Figures about a single layer: predictions, errors by speaker, confusions, a map of the embedding.

const SIDE = 330;

/** A figure with a caption; `table` is the same as numbers, for those who cannot see it. */
function figureOf(title, drawing, note, table) {
  const figure = html("figure", {}, html("figcaption", {}, title), drawing, note ? html("p", { class: "dim" }, note) : null);
  if (table) {
    const fold = html("details", {}, html("summary", {}, "As a table"));
    fold.addEventListener("toggle", () => {  // drawn when it is opened: a page has many of them
      if (fold.open && !fold.querySelector("table")) new SortedTable(fold, table());
    });
    figure.append(fold);
  }
  return figure;
}

/** Columns of a table from rows of values. */
const columnsOf = (titles, rows) => ({ rows: rows.length, columns: titles.map((title, at) => {
  const values = rows.map(row => row[at]), numeric = values.every(value => typeof value !== "string");
  const whole = values.every(value => value === null || Number.isInteger(value));
  const texts = values.map(value => typeof value === "number" ? whole ? String(value) : digits(value) : value ?? "–");
  if (!numeric) return { title, numeric, texts };
  const sorted = [...new Set(values)].sort((a, b) => a - b), rank = new Map(sorted.map((value, at) => [value, at]));
  return { title, numeric, texts, order: values.map(value => value === null ? -1 : rank.get(value)) };
}) });

/** Axes of a square figure, with `x` and `y` to place its marks. */
function square(xEnds, yEnds, xTitle, yTitle, label, side = SIDE) {
  const frame = { left: 52, right: 10, top: 10, bottom: 44 };
  const x = linear(xEnds, [frame.left, side - frame.right]), y = linear(yEnds, [side - frame.bottom, frame.top]);
  const xTicks = xTitle ? ticksOf(...xEnds, 4) : [], yTicks = ticksOf(...yEnds, 4);
  const drawing = svg("svg", { viewBox: `0 0 ${side} ${side}`, role: "img", "aria-label": label },
    yTicks.map(tick => [
      svg("line", { class: "grid", x1: frame.left, x2: side - frame.right, y1: y(tick), y2: y(tick) }),
      svg("text", { x: frame.left - 6, y: y(tick) + 4, "text-anchor": "end" }, tickText(tick, yTicks))]),
    xTicks.map(tick => svg("text", { x: x(tick), y: side - frame.bottom + 16, "text-anchor": "middle" }, tickText(tick, xTicks))),
    svg("text", { class: "title", x: (frame.left + side - frame.right) / 2, y: side - 6, "text-anchor": "middle" }, xTitle),
    svg("text", { class: "title", transform: `translate(11 ${(frame.top + side - frame.bottom) / 2}) rotate(-90)`,
      "text-anchor": "middle" }, yTitle));
  return { drawing, x, y, side, frame };
}

/** The predictions of a layer: utterance, speaker, true and predicted value; null if none are kept. */
function predictionsOf(model, layer, target, probe) {
  const shown = DETAILS.targets[target], text = DETAILS.predicted[keyOf(model, layer, target, probe)];
  if (!shown || text === undefined) return null;
  return unpacked(text, shown.ends).map((predicted, at) => ({ id: shown.ids[at],
    speaker: shown.speakers[shown.speaker[at]], truth: shown.truth[at], predicted }))
    .filter(one => one.predicted !== null);
}

/** How many of the tested utterances are on the page; empty if all are. */
function thinned(target, count) {
  const [utterances, speakers] = DETAILS.targets[target].tested;
  if (count >= utterances) return "";
  const shown = DETAILS.targets[target].speakers.length;
  return `${count} of ${utterances} test utterances, of ${shown} of ${speakers} speakers, chosen evenly ` +
    "to keep the page small: the figure is of these, scores are of all.";
}

function scatter(model, layer, target, probe) {
  const points = predictionsOf(model, layer, target, probe);
  if (!points?.length) return null;
  const { label, ends } = DETAILS.targets[target];
  const values = points.flatMap(point => [point.truth, point.predicted]);
  const limits = [Math.min(...values), Math.max(...values)], pad = 0.04 * (limits[1] - limits[0] || 1);
  const both = [limits[0] - pad, limits[1] + pad];
  const { drawing, x, y } = square(both, both, `true ${label}`, `predicted ${label}`,
    `True against predicted ${label}, ${points.length} utterances`);
  const cut = points.filter(point => point.predicted <= ends[0] || point.predicted >= ends[1]).length;
  fill(drawing, {}, [svg("line", { class: "reference nothing", x1: x(both[0]), y1: y(both[0]), x2: x(both[1]), y2: y(both[1]) }),
    svg("g", { class: colourOf(model) }, points.map(point => svg("circle",
      { class: "spot", cx: x(point.truth).toFixed(1), cy: y(point.predicted).toFixed(1), r: points.length > 200 ? 2 : 3 },
      svg("title", {}, `${point.id} (speaker ${point.speaker}): true ${digits(point.truth)}, predicted ${digits(point.predicted)}`))))]);
  const notes = [thinned(target, points.length), cut ? `${cut} predictions lie beyond the frame and are drawn at its edge.` : ""];
  return figureOf("True against predicted", drawing, notes.filter(Boolean).join(" "),
    () => columnsOf(["Utterance", "Speaker", "True", "Predicted", "Error"], points.map(point =>
      [point.id, point.speaker, point.truth, point.predicted, point.predicted - point.truth])));
}

/** Mean and standard deviation of the errors of each speaker, ascending. */
function errorsBySpeaker(points) {
  const groups = new Map();
  for (const { speaker, truth, predicted } of points)
    groups.set(speaker, [...(groups.get(speaker) ?? []), predicted - truth]);
  return [...groups].map(([speaker, errors]) => {
    const mean = errors.reduce((a, b) => a + b, 0) / errors.length;
    const square = errors.reduce((sum, error) => sum + (error - mean) ** 2, 0);
    return { speaker, n: errors.length, mean, sd: errors.length > 1 ? Math.sqrt(square / (errors.length - 1)) : 0 };
  }).sort((a, b) => a.mean - b.mean);
}

function residuals(model, layer, target, probe, title = "Errors by speaker") {
  const points = predictionsOf(model, layer, target, probe);
  if (!points?.length) return null;
  const speakers = errorsBySpeaker(points), { label } = DETAILS.targets[target];
  const reach = 1.06 * Math.max(...speakers.map(one => Math.abs(one.mean) + one.sd), 1e-12);
  const { drawing, x, y, side, frame } = square([-0.7, speakers.length - 0.3], [-reach, reach], "", `predicted − true ${label}`,
    `Errors of ${speakers.length} speakers`);
  fill(drawing, {}, [
    svg("line", { class: "reference nothing", x1: frame.left, x2: side - frame.right, y1: y(0), y2: y(0) }),
    svg("text", { class: "title", x: (frame.left + side - frame.right) / 2, y: side - 22, "text-anchor": "middle" },
      `${speakers.length} speakers, sorted: mean ± SD`),
    svg("g", { class: colourOf(model) }, speakers.map((one, at) => [
      svg("line", { class: "spread", x1: x(at), x2: x(at), y1: y(one.mean - one.sd), y2: y(one.mean + one.sd) }),
      svg("circle", { class: "spot strong", cx: x(at).toFixed(1), cy: y(one.mean).toFixed(1), r: 2.6 },
        svg("title", {}, `speaker ${one.speaker}, ${one.n} utterances: ${digits(one.mean)} ± ${digits(one.sd)}`))]))]);
  return figureOf(title, drawing, thinned(target, points.length), () => columnsOf(["Speaker", "Utterances", "Mean error", "SD"],
    speakers.map(one => [one.speaker, one.n, one.mean, one.sd])));
}

/** The confusion matrix of a layer; of many classes, its most frequent confusions. */
function confusion(model, layer, target, probe, title = "Confusion matrix") {
  const found = DETAILS.confused[keyOf(model, layer, target, probe)], names = DETAILS.classes[target];
  if (!found || !names) return null;
  if (!Array.isArray(found)) {
    const list = columnsOf(["True", "Predicted as", "Utterances"], found.largest.map(([a, b, n]) => [names[a], names[b], n]));
    const place = html("div", { class: "table" });
    if (found.largest.length) new SortedTable(place, list);
    return figureOf("Most frequent confusions", place,
      `${names.length} classes are too many for a matrix. Right: ${found.right} of ${found.all} predictions.`);
  }
  const size = names.length, rows = names.map((_, at) => found.slice(at * size, (at + 1) * size));
  const share = (row, column) => rows[row][column] / Math.max(1, rows[row].reduce((a, b) => a + b, 0));
  const table = html("table", { class: "confusion" },
    html("thead", {}, html("tr", {}, html("th", { scope: "col" }, "true ↓ predicted →"), names.map(name => html("th", { scope: "col" }, shortened(name, 14))))),
    html("tbody", {}, rows.map((row, a) => html("tr", {}, html("th", { scope: "row" }, shortened(names[a], 14)), row.map((count, b) => {
      const cell = html("td", { class: a === b ? "right" : null, title: `${(100 * share(a, b)).toFixed(0)} % of ${names[a]}` }, count);
      cell.style.setProperty("--share", `${(50 * share(a, b)).toFixed(0)}%`);  // half, so that text can be read
      return cell;
    })))));
  return figureOf(title, html("div", { class: "wide", tabindex: 0, role: "group", "aria-label": "Confusion matrix, scrolls" }, table), "Test predictions by true class (rows) and predicted class (columns); darker: a larger part of the row.");
}

/** The map of a model's last layer, coloured by the target. */
function embeddingMap(model, layer, target) {
  const map = MAPS.models[CHART.models[model].name];
  if (!map || map.layer !== CHART.models[model].layers[layer]) return null;
  const x = unpacked(map.x, [-1, 1]), y = unpacked(map.y, [-1, 1]), values = MAPS.values[target];
  const ends = [-1.04, 1.04], { drawing, x: left, y: top } = square(ends, ends, "", "", "Embeddings on two principal components");
  drawing.querySelectorAll(".grid, text").forEach(mark => mark.remove());
  const known = values.filter(value => typeof value === "number");
  const classes = [...new Set(values.filter(value => typeof value === "string"))].sort();
  const [low, high] = [Math.min(...known), Math.max(...known)];
  const colour = value => typeof value === "number"
    ? { class: `spot map h${Math.min(8, Math.floor(9 * (value - low) / (high - low || 1)))}` }
    : { class: `spot map ${classes.length <= 6 ? `c${classes.indexOf(value)}` : "c-1"}` };
  fill(drawing, {}, [x.map((at, number) => at === null || values[number] === null ? null
    : svg("circle", { ...colour(values[number]), cx: left(at).toFixed(1), cy: top(y[number]).toFixed(1), r: 3.2 },
      svg("title", {}, `${MAPS.ids[number]} (speaker ${MAPS.speaker[number]}): ${typeof values[number] === "number" ? digits(values[number]) : values[number]}`)))]);
  const legend = known.length ? `Dark to bright: ${digits(low)} to ${digits(high)}.`
    : classes.length <= 6 ? "" : `${classes.length} classes, not told apart by colour.`;
  const keys = !known.length && classes.length <= 6
    ? html("span", { class: "keys" }, classes.map((name, at) => html("span", { class: `c${at}` }, html("i", {}), name || "none"))) : null;
  const share = map.share.map(part => `${Math.round(100 * part)} %`).join(" and ");
  const figure = figureOf("Map of the embedding", drawing,
    `First two principal components (${share} of the variance), ${x.length} utterances. ${legend}`);
  if (keys) figure.insertBefore(keys, drawing);
  return figure;
}
