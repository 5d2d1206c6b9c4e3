// Details of a chosen layer, below the chart: what is known about it, and its figures.

/** Whether anything is known about the predictions of a layer. */
function hasDetails({ model, layer }) {
  const key = keyOf(model, layer, CHART.targets[state.target].name, state.probe);
  return key in DETAILS.predicted || key in DETAILS.confused;
}

/** The curve's point of the chosen layer; null if its model is switched off, or if the chosen target
 *  and probe have none. */
function chosenPoint() {
  if (!state.chosen || !state.models.has(state.chosen.model)) return null;
  const curve = CHART.curves.find(one => one.t === state.target && one.p === state.probe && one.m === state.chosen.model);
  const at = curve ? curve.at.indexOf(state.chosen.layer) : -1;
  return at < 0 || !curve.v[state.metric] ? null : pointOf(curve, at);
}

/** The best layer of the best model that is shown, whose details open with the page. */
function bestPoint() {
  const best = layout.points.filter(point => point.best), sign = CHART.metrics[state.metric]?.higher ? 1 : -1;
  return best.reduce((a, b) => a === null || sign * (b.value - a.value) > 0 ? b : a, null);
}

/** Move to the layer before or after the chosen one. */
function step(by) {
  const { model, layer } = state.chosen, last = CHART.models[model].layers.length - 1;
  Object.assign(state, { chosen: { model, layer: Math.max(0, Math.min(last, layer + by)) }, picked: true });
  drawDetails();
  byId(by < 0 ? "before" : "after").focus();
}

/** Draw the details of the chosen layer; `focus` moves the keyboard there. */
function drawDetails(focus = false) {
  const place = byId("details"), point = chosenPoint();
  place.hidden = !point;
  if (!point) { place.replaceChildren(); return; }
  const { model, layer } = point, target = CHART.targets[state.target];
  const figures = [scatter, residuals, confusion].map(draw => draw(model, layer, target.name, state.probe));
  figures.push(embeddingMap(model, layer, target.name));
  const shown = figures.filter(Boolean);
  const heading = html("h2", { tabindex: -1 }, html("span", { class: `swatch ${colourOf(model)}` }), point.name,
    html("span", { class: "dim" }, ` ${CHART.models[model].name}, ${target.title}, ${state.probe}`));
  const last = CHART.models[model].layers.length - 1;
  place.replaceChildren(
    html("div", { class: "heading" }, heading, html("span", { class: "steps" },
      button("← Layer before", () => step(-1), { id: "before", "aria-disabled": layer === 0 ? "true" : null }),
      button("Next layer →", () => step(1), { id: "after", "aria-disabled": layer === last ? "true" : null }))),
    html("dl", { class: "facts" }, factsOf(point).map(([name, value]) => html("div", {}, html("dt", {}, name), html("dd", {}, value)))),
    shown.length ? html("div", { class: "figures" }, shown)
      : html("p", { class: "dim" }, "No predictions of this layer are kept: the run stores sums only, or its cells failed."));
  if (focus) heading.focus();
}

/** The errors, or confusions, of every chosen model at its best layer. */
function drawErrors(place) {
  const target = CHART.targets[state.target];
  const figures = chosenCurves().filter(curve => curve.best[state.metric] !== null).map(curve => {
    const layer = curve.at[curve.best[state.metric]], model = CHART.models[curve.m];
    const title = `${model.name}: ${model.layers[layer]}`;
    return residuals(curve.m, layer, target.name, state.probe, title) ?? confusion(curve.m, layer, target.name, state.probe, title);
  }).filter(Boolean);
  place.replaceChildren(html("h3", {}, `${target.title}, probe ${state.probe}`),
    figures.length ? html("div", { class: "figures" }, figures) : html("p", { class: "dim" }, "No predictions are kept."));
}
