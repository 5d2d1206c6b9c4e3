// The start: choices above the chart, and what is drawn anew when one of them changes.

const DRAWINGS = { heatmap: drawHeatmap, errors: drawErrors };

/** Fill a choice with (value, text); a choice of one is shown, but there is nothing to change. */
function offer(field, options, chosen) {
  field.replaceChildren(...options.map(([value, text]) =>
    html("option", { value, selected: String(value) === String(chosen) }, text)));
  field.disabled = options.length < 2;
}

/** Keep score and probe if the target has them, else take its first ones; then offer what it has. */
function offerChoices() {
  const target = CHART.targets[state.target];
  if (!target.probes.includes(state.probe)) state.probe = shownProbes(target)[0];
  const metrics = metricsOf(target, state.probe);
  if (!metrics.includes(state.metric)) state.metric = metrics[0];
  offer(byId("target"), CHART.order.map(at => [at, CHART.targets[at].title]), state.target);
  offer(byId("probe"), shownProbes(target).map(name => [name, name]), state.probe);
  offer(byId("metric"), metrics.map(name => [name, CHART.metrics[name].label]), state.metric);
}

/** The probes of a target that some model was scored with. */
const shownProbes = target => target.probes.filter(probe =>
  CHART.curves.some(curve => CHART.targets[curve.t] === target && curve.p === probe));

/** The metrics that some curve of a probe has a value of. */
const metricsOf = (target, probe) => target.metrics.filter(name => CHART.curves.some(curve =>
  CHART.targets[curve.t] === target && curve.p === probe && curve.v[name]?.[0].some(value => value !== null)));

/** The models, each with its line, to switch on and off. */
function offerModels() {
  byId("models").append(...CHART.models.map((model, at) => {
    const box = html("input", { type: "checkbox", checked: true, value: at });
    box.addEventListener("change", () => {
      box.checked ? state.models.add(at) : state.models.delete(at);
      drawAll();
    });
    return html("label", {}, box, svg("svg", { class: `key ${colourOf(at)}${model.dashed ? " dashed" : ""}`,
      viewBox: "0 0 26 12", width: 26, height: 12, "aria-hidden": "true" },
      svg("path", { class: "line", d: "M1 6H25" })), html("span", {}, model.name));
  }));
  byId("models").classList.toggle("closed", CHART.models.length < 2);
}

/** Draw everything that follows the choices. */
function drawAll() {
  cursor = null;
  drawChart();
  if (!chosenPoint()) state.picked = false;
  const best = bestPoint();
  if (!state.picked && best) state.chosen = { model: best.model, layer: best.layer };
  drawDetails();
  for (const place of document.querySelectorAll("[data-drawing]")) DRAWINGS[place.dataset.drawing](place);
}

function listenToChoices() {
  byId("choices").addEventListener("change", () => {
    state.target = Number(byId("target").value);
    state.metric = byId("metric").value;
    state.probe = byId("probe").value;
    state.taps = byId("choices").elements.taps.value;
    offerChoices();
    drawAll();
  });
  byId("choices").addEventListener("submit", event => event.preventDefault());
  let width = byId("plot").clientWidth;
  new ResizeObserver(() => {
    if (byId("plot").clientWidth === width) return;
    width = byId("plot").clientWidth;
    drawAll();
  }).observe(byId("plot"));
}

/** `sweep view` serves the page alone: there, the names of files lead nowhere. */
function unlinkFiles() {
  if (location.hostname !== "127.0.0.1") return;
  for (const link of document.querySelectorAll(".files a")) link.replaceWith(link.textContent);
}

function start() {
  unlinkFiles();
  drawTables();
  offerCopies();
  if (CHART.curves.length) {
    byId("taps").hidden = CHART.models.every(model => model.joined.every(joined => joined === 1));
    offerChoices();
    offerModels();
    drawAll();
    listenToChoices();
  }
  makeTabs();
}

start();
