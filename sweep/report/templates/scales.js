// Scales, ticks and numbers as they are printed.

/** A function from values between `from` to pixels between `to`. */
function linear([low, high], [start, end]) {
  const span = high - low || 1;
  return value => start + (end - start) * (value - low) / span;
}

/** About `count` round values between low and high. */
function ticksOf(low, high, count) {
  const rough = (high - low || 1) / count, power = 10 ** Math.floor(Math.log10(rough));
  const step = [1, 2, 2.5, 5, 10].find(factor => factor * power >= rough) * power;
  const ticks = [];
  for (let at = Math.ceil(low / step - 1e-9); at * step <= high + 1e-9 * step; at += 1)
    ticks.push(at * step);
  return ticks;
}

/** A tick in as many decimals as its neighbours need. */
function tickText(value, ticks) {
  const step = ticks.length > 1 ? Math.abs(ticks[1] - ticks[0]) : Math.abs(value) || 1;
  const decimals = Math.max(0, Math.min(6, Math.ceil(-Math.log10(step) - 1e-9)));
  const more = Math.abs(step * 10 ** decimals - Math.round(step * 10 ** decimals)) > 1e-6;
  return signed(value.toFixed(decimals + (more ? 1 : 0)));
}

/** A minus sign in place of a hyphen, and no minus before zero. */
const signed = text => /^-0(\.0*)?$/.test(text) ? text.slice(1) : text.replace(/^-/, "−");

/** A score in the metric's decimals, or with three significant digits. */
function scoreText(value, metric = state.metric) {
  if (value === null || value === undefined) return "–";
  const decimals = CHART.metrics[metric]?.decimals;
  return decimals === null || decimals === undefined ? digits(value) : signed(value.toFixed(decimals));
}

/** A number with three significant digits, never in powers of ten where it can be read without. */
function digits(value) {
  if (value === 0) return "0";
  const size = Math.floor(Math.log10(Math.abs(value)));
  if (size > 8 || size < -5) return signed(value.toExponential(2));
  return signed(value.toFixed(Math.max(0, Math.min(8, 2 - size))));
}

/** A score with its interval, if it has one. */
function intervalText(point, metric = state.metric) {
  const score = scoreText(point.value, metric);
  if (point.low === null || point.high === null) return score;
  return `${score} [${scoreText(point.low, metric)}, ${scoreText(point.high, metric)}]`;
}
