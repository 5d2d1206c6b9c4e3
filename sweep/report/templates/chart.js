// The chart over layers: what is shown where. Its marks are drawn in marks.js.

const HEIGHT = 440, NARROW = 640;

/** What decides where a layer lies: its number, if all networks have the same layers; the model, if
 *  each has a single one; else its depth relative to its network. */
function axisOf(curves) {
  const models = curves.map(curve => CHART.models[curve.m]);
  if (models.length && models.every(model => model.layers.length === 1))
    return { kind: "models", place: point => curves.findIndex(curve => curve.m === point.model),
      ends: [-0.5, models.length - 0.5] };
  const names = models.map(model => model.layers.join(SEPARATOR) + model.index);
  if (new Set(names).size <= 1) {
    const index = models[0]?.index ?? [0];
    return { kind: "layers", place: point => index[point.layer],
      ends: [index[0], index.length > 1 ? index.at(-1) : index[0] + 1] };
  }
  return { kind: "depth", ends: [0, 1],
    place: point => point.layer / Math.max(1, CHART.models[point.model].layers.length - 1) };
}

/** Horizontal lines: knowing nothing, knowing only the speaker, and baselines. */
function referencesOf(target) {
  const metric = CHART.metrics[state.metric], found = [];
  const nothing = target.nothing[state.metric];
  if (nothing !== null) found.push({ label: metric.nothing, value: nothing, line: "nothing" });
  const speaker = target.speaker[state.metric];
  if (speaker !== null && speaker !== undefined)
    found.push({ label: "speaker mean", value: speaker, line: "speaker" });
  for (const { label, probe, scores } of target.baselines)
    if (probe === state.probe && scores[state.metric] !== null)
      found.push({ label, value: scores[state.metric], line: "baseline" });
  return found;
}

/** Ends of the axis of scores: from the best down to the worst, or to half as far below knowing
 *  nothing as the best lies above it, as in the run's figures. Intervals are clipped. */
function limitsOf(points, references) {
  const values = [...points.map(point => point.value), ...references.map(one => one.value)];
  if (!values.length) return [0, 1];
  let low = Math.min(...values), high = Math.max(...values);
  const nothing = references.find(one => one.line === "nothing")?.value;
  if (nothing !== undefined) {
    if (CHART.metrics[state.metric].higher) low = Math.max(low, nothing - 0.5 * (high - nothing || 1));
    else high = Math.min(high, nothing + 0.5 * (nothing - low || 1));
  }
  const pad = 0.07 * (high - low || Math.abs(high) || 1);
  return [low - pad, high + pad];
}

/** Everything that the marks need: points in pixels, scales, references. */
function layoutOf(width) {
  const curves = chosenCurves(), target = CHART.targets[state.target];
  const references = referencesOf(target), axis = axisOf(curves);
  const lines = curves.map(curve => ({ curve, points: pointsOf(curve) }));
  const points = lines.flatMap(line => line.points);
  const labels = [...curves.map(curve => CHART.models[curve.m].name), ...references.map(r => r.label)];
  const wide = width >= NARROW;
  const right = wide ? Math.min(210, 18 + Math.max(0, ...labels.map(l => textWidth(shortened(l, 30))))) : 14;
  const frame = { width, height: wide ? HEIGHT : 340, left: 58, right, top: 22, bottom: 52, wide };
  const limits = limitsOf(points, references);
  const x = linear(axis.ends, [frame.left + 10, width - right - 10]);
  const y = linear(limits, [frame.height - frame.bottom, frame.top]);
  for (const point of points) {
    point.beyondAxis = point.value < limits[0] ? -1 : point.value > limits[1] ? 1 : 0;
    point.x = x(axis.place(point));
    point.y = y(Math.min(limits[1], Math.max(limits[0], point.value)));
  }
  return { curves, lines, points, references, axis, frame, limits, x, y, target };
}

let layout = null;

/** Draw the chart anew, as wide as its place. */
function drawChart() {
  const place = byId("plot");
  layout = layoutOf(Math.max(300, place.clientWidth));
  const { frame } = layout;
  const drawing = svg("svg", { viewBox: `0 0 ${frame.width} ${frame.height}`, width: frame.width,
    height: frame.height, tabindex: 0, role: "application", "aria-roledescription": "chart",
    "aria-label": chartLabel(), "aria-keyshortcuts": "ArrowLeft ArrowRight ArrowUp ArrowDown Enter" },
    drawAxes(layout), drawReferences(layout), layout.lines.map(line => drawBand(line, layout)),
    layout.lines.map(line => drawLine(line, layout)), drawBestLabels(layout), drawEndLabels(layout),
    svg("g", { class: "cursor" }));
  const tip = html("div", { class: "tip", hidden: true });
  place.replaceChildren(drawing, tip);
  listenToPointer(drawing, tip);
  describeChart();
}

/** The chart in a sentence. */
function chartLabel() {
  const { curves, target } = layout;
  return `${CHART.metrics[state.metric].label} of ${target.title} over the layers of ` +
    `${curves.length} ${curves.length === 1 ? "model" : "models"}, probe ${state.probe}. ` +
    "Arrow keys move between layers and models, Enter shows the predictions of a layer.";
}

/** The notes below the chart: what the score means, and what cannot be seen. */
function describeChart() {
  const beyond = layout.points.filter(point => point.beyondAxis).length;
  const over = layout.curves[0]?.over;
  const known = layout.curves.some(curve => curve.v[state.metric].length === 3);
  const bands = layout.lines.length <= MOST_BANDS ? "Shaded" : "Bars at the best layers";
  const notes = [CHART.metrics[state.metric].meaning];
  if (known) notes.push(`${bands}: 95 % intervals${over ? ` over ${over}` : ""}.`);
  notes.push("Ring: the best layer, chosen among many on the same test data, so slightly too good.");
  if (beyond) notes.push(`${beyond} ${beyond === 1 ? "point lies" : "points lie"} beyond the axis (triangles).`);
  if (layout.points.some(point => point.lacking)) notes.push("Open circles lack planned cells.");
  byId("meaning").textContent = notes.join(" ");
}
