// The data of the page, and the forms in which its numbers are packed: see sweep/report/page_data.

const DATA = JSON.parse(byId("data").textContent);
const CHART = DATA.chart ?? { models: [], metrics: {}, targets: [], curves: [], order: [] };
const DETAILS = DATA.details ?? { targets: {}, predicted: {}, classes: {}, confused: {} };
const MAPS = DATA.maps ?? { models: {} };
const DIGITS = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
const SEPARATOR = "\u007f";

/** Numbers from two characters each; what is not known is null. */
function unpacked(text, [low, high]) {
  const steps = DIGITS.length ** 2 - 1, values = [];
  for (let at = 0; at < text.length; at += 2) {
    if (text[at] === "~") { values.push(null); continue; }
    const code = DIGITS.indexOf(text[at]) * DIGITS.length + DIGITS.indexOf(text[at + 1]);
    values.push(low + (high - low) * code / steps);
  }
  return values;
}

// A curve's positions are a count where they are 0, 1, 2, …
for (const curve of CHART.curves)
  if (typeof curve.at === "number") curve.at = Array.from({ length: curve.at }, (_, at) => at);

/** What the reader has chosen; `chosen` is a layer as {model, layer}, the best one until the reader
 *  has `picked` another. */
const state = {
  target: CHART.order[0] ?? 0, metric: "", probe: "", taps: "joined",
  models: new Set(CHART.models.map((_, at) => at)), chosen: null, picked: false,
};

/** The curves that are chosen, in the order of the models. */
function chosenCurves() {
  return CHART.curves
    .filter(curve => curve.t === state.target && curve.p === state.probe
      && state.models.has(curve.m) && curve.v[state.metric])
    .sort((a, b) => a.m - b.m);
}

/** A point of a curve: where it lies, its score and interval, and what is known about it. */
function pointOf(curve, at) {
  const [values, low, high] = curve.v[state.metric];
  const model = CHART.models[curve.m], layer = curve.at[at];
  const each = value => Array.isArray(value) ? value[at] : value;
  return {
    curve, at, model: curve.m, layer, name: model.layers[layer], value: values[at],
    low: low?.[at] ?? null, high: high?.[at] ?? null, joined: model.joined[layer] === 1,
    n: each(curve.n), speakers: each(curve.s), width: model.widths[layer],
    best: curve.best[state.metric] === at, lacking: curve.lacking[at], decided: curve.decided[at],
    beyond: curve.v.beyond ? curve.v.beyond.map(values => values[at]) : null,
  };
}

/** The points of a curve that are shown: with a score, and of the chosen kind or the best. */
function pointsOf(curve) {
  return curve.at.map((_, at) => pointOf(curve, at))
    .filter(point => point.value !== null && (state.taps === "all" || point.joined || point.best));
}

/** The name under which the details of a layer are kept. */
const keyOf = (model, layer, target, probe) =>
  [CHART.models[model].name, CHART.models[model].layers[layer], target, probe].join(SEPARATOR);

/** Class of an element in a model's colour; `untrained` twins are dashed. */
const colourOf = model => `c${CHART.models[model].colour}`;
