// Heat map: a row per model, a column per layer, of the target, score and probe that are chosen.

const ROW = 30, SHADES = 9;

/** Draw the heat map anew; arrow keys move over it, Enter shows a layer's predictions. */
function drawHeatmap(place) {
  const curves = chosenCurves(), width = Math.max(300, place.clientWidth || byId("plot").clientWidth);
  const rows = curves.map(curve => ({ curve, points: curve.at.map((_, at) => pointOf(curve, at)) }));
  const values = rows.flatMap(row => row.points.map(point => point.value)).filter(value => value !== null);
  if (!values.length) { place.replaceChildren(html("p", { class: "dim" }, "No scores to show.")); return; }
  const { higher } = CHART.metrics[state.metric], nothing = CHART.targets[state.target].nothing[state.metric];
  let [low, high] = [Math.min(...values), Math.max(...values)];
  if (higher && nothing !== null) low = Math.max(low, Math.min(nothing, high));
  if (!higher && nothing !== null) high = Math.min(high, Math.max(nothing, low));
  const shade = value => {
    const place = Math.min(1, Math.max(0, (value - low) / (high - low || 1)));
    return Math.min(SHADES - 1, Math.floor(SHADES * (higher ? place : 1 - place)));
  };
  const names = width < NARROW ? 0 : Math.min(220, 14 + Math.max(...curves.map(curve => textWidth(shortened(CHART.models[curve.m].name, 30)))));
  const room = width - names, step = ROW + (names ? 0 : 18), height = rows.length * step;
  const marks = rows.map(({ curve, points }, row) => {
    const top = row * step + (names ? 0 : 18), model = CHART.models[curve.m], cell = room / model.layers.length;
    return svg("g", {}, svg("text", names ? { x: names - 10, y: top + ROW / 2 + 4, "text-anchor": "end" } : { x: 0, y: top - 5 },
      shortened(model.name, 30)), points.filter(point => point.value !== null).map(point => {
      point.row = row;
      point.box = { x: names + point.layer * cell, y: top + 1, width: Math.max(1, cell - (cell > 4 ? 1 : 0)), height: ROW - 2 };
      return svg("rect", { class: `h${shade(point.value)}${point.best ? " best" : ""}`, ...point.box,
        "data-model": point.model, "data-layer": point.layer },
        svg("title", {}, `${model.name}, ${point.name}: ${intervalText(point)}`));
    }));
  });
  const said = html("p", { class: "dim" }, "Outlined: the best layer of each model.");
  const drawing = svg("svg", { viewBox: `0 0 ${width} ${height}`, width, height, tabindex: 0, role: "application",
    "aria-roledescription": "heat map", "aria-label": `Heat map of ${CHART.metrics[state.metric].label}. ` +
    "Arrow keys move between layers and models, Enter shows the predictions of a layer." }, marks, svg("rect", { class: "frame", width: 0, height: 0 }));
  const ends = higher ? [low, high] : [high, low];
  const key = html("div", { class: "shades" }, html("span", {}, scoreText(ends[0])),
    Array.from({ length: SHADES }, (_, at) => html("i", { class: `h${at}` })), html("span", {}, scoreText(ends[1])),
    html("span", { class: "dim" }, `${CHART.metrics[state.metric].label}, ${CHART.targets[state.target].title}, ${state.probe}`));
  place.replaceChildren(key, drawing, said);
  followKeys(drawing, rows, said);
}

/** Let arrow keys, and the pointer, choose a layer of the heat map. */
function followKeys(drawing, rows, said) {
  const frame = drawing.querySelector(".frame");
  const lines = rows.map(row => row.points.filter(point => point.box));
  let here = null;
  const move = point => {
    here = point;
    fill(frame, point.box, []);
    said.textContent = `${CHART.models[point.model].name}, ${point.name}: ${factsOf(point).map(fact => fact.join(" ")).join(", ")}`;
  };
  drawing.addEventListener("click", event => {
    const { model, layer } = event.target.dataset;
    if (layer === undefined) return;
    const point = lines.flat().find(one => one.model === Number(model) && one.layer === Number(layer));
    move(point);
    choose(point, true);
  });
  drawing.addEventListener("keydown", event => {
    if ((event.key === "Enter" || event.key === " ") && here) { event.preventDefault(); choose(here, true); return; }
    const step = { ArrowRight: [1, 0], ArrowLeft: [-1, 0], ArrowDown: [0, 1], ArrowUp: [0, -1] }[event.key];
    if (!step) return;
    event.preventDefault();
    const line = lines[here ? Math.max(0, Math.min(lines.length - 1, here.row + step[1])) : 0];
    const at = here ? line.findIndex(point => point.layer >= here.layer) : 0;
    move(line[Math.max(0, Math.min(line.length - 1, (at < 0 ? line.length - 1 : at) + (here ? step[0] : 0)))]);
    announce(said.textContent);
  });
}
