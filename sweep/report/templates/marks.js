// The marks of the chart over layers, from a layout of chart.js.

const MOST_BANDS = 4, MOST_NAMED = 4;

const path = points => points.map((p, at) => `${at ? "L" : "M"}${p.x.toFixed(1)} ${p.y.toFixed(1)}`).join("");

function drawAxes({ frame, limits, x, y, target, axis, curves }) {
  const ticks = ticksOf(...limits, frame.wide ? 6 : 5), end = frame.width - frame.right;
  const bottom = frame.height - frame.bottom;
  const name = target.axes[target.metrics.indexOf(state.metric)] ?? CHART.metrics[state.metric].label;
  return svg("g", { class: "axes" },
    ticks.map(tick => [
      svg("line", { class: "grid", x1: frame.left, x2: end, y1: y(tick), y2: y(tick) }),
      svg("text", { x: frame.left - 8, y: y(tick) + 4, "text-anchor": "end" }, tickText(tick, ticks)),
    ]),
    svg("text", { class: "title", x: 2, y: 12 }, name),
    svg("line", { class: "base", x1: frame.left, x2: end, y1: bottom, y2: bottom }),
    depthTicks({ frame, axis, curves, x }).map(({ at, text, anchor }) => [
      svg("line", { class: "base", x1: at, x2: at, y1: bottom, y2: bottom + 4 }),
      svg("text", { x: at, y: bottom + 18, "text-anchor": anchor }, text),
    ]),
    svg("text", { class: "title", x: (frame.left + end) / 2, y: frame.height - 6, "text-anchor": "middle" },
      { layers: "layer, input to output", models: "", depth: "relative depth in each network" }[axis.kind]));
}

/** Names on the axis of layers: as many as there is room for, the first and the last among them. */
function depthTicks({ frame, axis, curves, x }) {
  if (!curves.length) return [];
  if (axis.kind === "depth")
    return [[0, "first layer", "start"], [0.5, "half-way", "middle"], [1, "last layer", "end"]]
      .map(([value, text, anchor]) => ({ at: x(value), text, anchor }));
  const model = CHART.models[curves[0].m];
  const all = axis.kind === "models"
    ? curves.map((curve, at) => ({ at: x(at), text: CHART.models[curve.m].name }))
    : model.layers.map((name, layer) => ({ at: x(model.index[layer]), text: name, joined: model.joined[layer] }));
  const named = all.filter(tick => tick.joined !== 0);
  const candidates = [named[0], named.at(-1), ...named.slice(1, -1)].filter(Boolean);
  const kept = [];
  for (const { at, text } of candidates) {
    const short = shortened(text, 18), half = textWidth(short) / 2 + 6;
    const middle = Math.min(Math.max(at, half), frame.width - half);
    if (kept.every(other => Math.abs(other.middle - middle) > half + other.half))
      kept.push({ at, middle, half, text: short });
  }
  return kept.map(({ at, middle, half, text }) => ({ at, text,
    anchor: middle > at ? "start" : middle < at ? "end" : "middle", half }));
}

function drawReferences({ references, frame, limits, y }) {
  return svg("g", { class: "references" }, references
    .filter(one => one.value >= limits[0] && one.value <= limits[1])
    .map(one => [
      svg("line", { class: `reference ${one.line}`, x1: frame.left, x2: frame.width - frame.right,
        y1: y(one.value), y2: y(one.value) }),
      frame.wide ? null
        : svg("text", { class: "small halo", x: frame.left + 4, y: y(one.value) - 4 }, one.label),
    ]));
}

/** The interval of a curve; of many curves, only that of the best layer, as a bar. */
function drawBand({ curve, points }, { lines, frame, limits, y }) {
  const known = points.filter(point => point.low !== null && point.high !== null);
  const inside = value => y(Math.min(limits[1], Math.max(limits[0], value)));
  if (lines.length > MOST_BANDS || known.length < 2)
    return svg("g", { class: colourOf(curve.m) }, known.filter(point => point.best || known.length < 2).map(point =>
      svg("line", { class: "whisker", x1: point.x, x2: point.x, y1: inside(point.low), y2: inside(point.high) })));
  const joined = known.filter(point => point.joined);
  const upper = joined.map(point => ({ x: point.x, y: inside(point.high) }));
  const lower = joined.map(point => ({ x: point.x, y: inside(point.low) })).reverse();
  return svg("path", { class: `band ${colourOf(curve.m)}`, d: `${path([...upper, ...lower])}Z` });
}

/** A curve: a line through what it may join, broken where a layer has no score, and its dots. */
function drawLine({ curve, points }, { frame }) {
  const model = CHART.models[curve.m], joined = points.filter(point => point.joined);
  const runs = [];
  let before = null;
  for (const point of joined) {
    const gap = before === null || curve.at.some((layer, at) => at > before.at && at < point.at
      && model.joined[layer] && curve.v[state.metric][0][at] === null);
    if (gap) runs.push([]);
    runs.at(-1).push(point);
    before = point;
  }
  const many = joined.length > 60;
  return svg("g", { class: `${colourOf(curve.m)}${model.dashed ? " dashed" : ""}` },
    runs.map(run => svg("path", { class: "line", d: path(run) })),
    points.map(point => drawDot(point, many)));
}

function drawDot(point, many) {
  if (point.beyondAxis) {
    const side = point.beyondAxis < 0 ? 1 : -1;
    return svg("path", { class: "dot", d: `M${point.x - 4} ${point.y - 7 * side}h8l-4 ${7 * side}Z` });
  }
  const radius = point.best ? 4.5 : point.joined ? (many ? 1.6 : 3) : 1.8;
  const kinds = ["dot", point.joined ? "" : "inside", point.lacking ? "open" : ""].join(" ");
  return [svg("circle", { class: kinds, cx: point.x, cy: point.y, r: radius }),
    point.best ? svg("circle", { class: "ring", cx: point.x, cy: point.y, r: 8 }) : null];
}

/** The names of the best layers with their scores, where they do not cover one another. */
function drawBestLabels({ lines, frame }) {
  if (!frame.wide) return null;
  const boxes = [], higher = CHART.metrics[state.metric].higher;
  const best = lines.flatMap(line => line.points.filter(point => point.best && !point.beyondAxis));
  return svg("g", {}, best.sort((a, b) => a.y - b.y).slice(...(higher ? [0, MOST_NAMED] : [-MOST_NAMED])).map(point => {
    const text = `${shortened(point.name, 24)} ${scoreText(point.value)}`, half = textWidth(text) / 2;
    const middle = Math.min(Math.max(point.x, frame.left + half), frame.width - frame.right - half);
    const above = higher ? point.y - 14 : point.y + 22;
    const free = boxes.every(box => Math.abs(box.x - middle) > box.half + half + 4 || Math.abs(box.y - above) > 15);
    if (!free) return null;
    boxes.push({ x: middle, y: above, half });
    return svg("text", { class: "best halo", x: middle, y: above, "text-anchor": "middle" }, text);
  }));
}

/** Names at the right end of the lines, moved apart until none covers another. */
function drawEndLabels({ lines, references, frame, limits, y, axis }) {
  if (!frame.wide) return null;
  const ends = lines.filter(line => line.points.length && axis.kind !== "models").map(({ curve, points }) => ({
    y: points.findLast(point => point.joined)?.y ?? points.at(-1).y, text: CHART.models[curve.m].name,
    kind: `end ${colourOf(curve.m)}` }));
  const levels = references.filter(one => one.value >= limits[0] && one.value <= limits[1])
    .map(one => ({ y: y(one.value), text: one.label, kind: "level" }));
  const labels = [...ends, ...levels].sort((a, b) => a.y - b.y);
  labels.forEach((label, at) => { label.at = at ? Math.max(label.y, labels[at - 1].at + 15) : label.y; });
  for (let at = labels.length - 1, limit = frame.height - frame.bottom + 8; at >= 0; at -= 1) {
    labels[at].at = Math.min(labels[at].at, limit);
    limit = labels[at].at - 15;
  }
  const x = frame.width - frame.right;
  return svg("g", {}, labels.map(label => [
    svg("line", { class: `leader ${label.kind}`, x1: x + 2, x2: x + 9, y1: label.y, y2: label.at }),
    svg("text", { class: label.kind, x: x + 13, y: label.at + 4 }, shortened(label.text, 30)),
  ]));
}
