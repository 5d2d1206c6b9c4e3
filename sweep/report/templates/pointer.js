// The cursor of the chart: the layer under the pointer, or the one that the arrow keys lead to.

let cursor = null;

/** What is known about a layer, as (name, value): the tooltip, and what a screen reader says. */
function factsOf(point) {
  const model = CHART.models[point.model], metric = CHART.metrics[state.metric];
  const facts = [[metric.label, intervalText(point)]];
  if (point.beyond && state.metric !== "beyond")
    facts.push(["gain beyond the nuisances", intervalText({ value: point.beyond[0],
      low: point.beyond[1] ?? null, high: point.beyond[2] ?? null }, "beyond")]);
  else if (!point.beyond) {
    const input = CHART.targets[state.target].baselines
      .find(one => one.label === "fbank only" && one.probe === state.probe)?.scores[state.metric];
    if (input !== undefined && input !== null)
      facts.push(["beyond the input (fbank only)", difference(point.value, input)]);
  }
  facts.push(["tested", [point.n && `${point.n} utterances`, point.speakers && `${point.speakers} speakers`]
    .filter(Boolean).join(", ") || "–"]);
  if (point.width) facts.push(["width", point.width]);
  if (model.levels[point.layer] !== "unspecified") facts.push(["place", model.levels[point.layer]]);
  if (point.lacking) facts.push(["lacks cells", `has ${point.lacking}`]);
  if (point.decided) facts.push(["decided by speaker", point.decided]);
  return facts;
}

/** `a` − `b` with its sign. */
const difference = (a, b) => (a >= b ? "+" : "") + scoreText(a - b);

function listenToPointer(drawing, tip) {
  const within = event => {
    const box = drawing.getBoundingClientRect();
    return { x: event.clientX - box.left, y: event.clientY - box.top };
  };
  drawing.addEventListener("pointermove", event => moveTo(nearest(within(event)), drawing, tip));
  drawing.addEventListener("pointerleave", () => { if (document.activeElement !== drawing) moveTo(null, drawing, tip); });
  drawing.addEventListener("click", event => choose(nearest(within(event))));
  drawing.addEventListener("blur", () => moveTo(null, drawing, tip));
  drawing.addEventListener("keydown", event => {
    if (event.key === "Enter" || event.key === " ") { choose(cursor, true); event.preventDefault(); return; }
    const next = event.key === "Escape" ? null : beside(event.key);
    if (next === undefined) return;
    event.preventDefault();
    moveTo(next, drawing, tip);
    if (next) announce(`${CHART.models[next.model].name}, ${next.name}: ` +
      factsOf(next).map(fact => fact.join(" ")).join(", "));
  });
}

/** The point nearest to a place, with more weight on the axis of layers. */
function nearest({ x, y }) {
  let best = null, least = Infinity;
  for (const point of layout.points) {
    const distance = 3 * Math.abs(point.x - x) + Math.abs(point.y - y);
    if (distance < least) [best, least] = [point, distance];
  }
  return best;
}

/** The point that a key leads to; undefined for other keys. */
function beside(key) {
  const lines = layout.lines.filter(line => line.points.length);
  if (!lines.length) return undefined;
  const at = Math.max(0, lines.findIndex(line => line.curve === cursor?.curve));
  const own = lines[at].points, here = own.findIndex(point => point.layer === cursor?.layer);
  const moves = { ArrowRight: here + 1, ArrowLeft: here - 1, Home: 0, End: own.length - 1 };
  if (key in moves) return own[Math.max(0, Math.min(own.length - 1, moves[key]))];
  const step = { ArrowDown: 1, ArrowUp: -1 }[key];
  if (!step) return undefined;
  const other = lines[(at + step + lines.length) % lines.length].points;
  return here < 0 ? other[0] : other.reduce((a, b) =>
    Math.abs(b.x - cursor.x) < Math.abs(a.x - cursor.x) ? b : a);
}

/** Mark a point, and show what is known about it beside it. */
function moveTo(point, drawing, tip) {
  cursor = point;
  const mark = drawing.querySelector(".cursor"), { frame } = layout;
  tip.hidden = !point;
  if (!point) { mark.replaceChildren(); return; }
  mark.replaceChildren(
    svg("line", { class: "guide", x1: point.x, x2: point.x, y1: frame.top, y2: frame.height - frame.bottom }),
    svg("circle", { class: `mark ${colourOf(point.model)}`, cx: point.x, cy: point.y, r: 6 }));
  tip.replaceChildren(html("strong", {}, point.name),
    html("span", { class: "dim" }, CHART.models[point.model].name),
    html("dl", {}, factsOf(point).map(([name, value]) => html("div", {}, html("dt", {}, name), html("dd", {}, value)))),
    html("span", { class: "dim" }, hasDetails(point) ? "Click or Enter: its predictions" : ""));
  const left = point.x + 18 + tip.offsetWidth > frame.width ? point.x - tip.offsetWidth - 18 : point.x + 18;
  tip.style.left = `${Math.max(0, left)}px`;
  tip.style.top = `${Math.max(0, Math.min(point.y - 30, frame.height - tip.offsetHeight))}px`;
}

/** Show the details of a layer. */
function choose(point, focus = false) {
  if (!point) return;
  Object.assign(state, { chosen: { model: point.model, layer: point.layer }, picked: true });
  drawDetails(focus);
}
