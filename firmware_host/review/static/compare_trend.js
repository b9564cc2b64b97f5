// One site over all nights: a dot and its interval each, lines where something else than twitching changed.
import { heldWords } from "./compare_held.js";
import { aboutWords, dateWords, diaryWords, intervalWords, rateWords } from "./compare_words.js";
import { number } from "./night_words.js";
import { make } from "./page.js";
import { t } from "./texts.js";

const [HEIGHT, LEFT, RIGHT, TOP, BOTTOM] = [300, 44, 12, 18, 34];
const DAY_MS = 86_400_000;
const element = (id) => document.getElementById(id);
const days = (iso) => Date.parse(`${iso}T00:00:00Z`) / DAY_MS;

/** `held` are the nights of the site whose counts are kept back. */
export function drawTrend({ label, limit_mg: limitMg, points: all, left_out: leftOut }, held) {
  // Nights are drawn above the limit that they share; where no limit is known, as they are, and that is said.
  const points = all.map((one) => ({ ...one, shown: limitMg === null ? (one.at.valid_s > 0 ? one.at : null) : one.above }));
  const seen = points.filter(({ shown }) => shown);
  const lacking = limitMg === null ? 0 : points.filter(({ at, shown }) => at.valid_s > 0 && !shown).length;
  const onlyHeld = held.length > 0 && !seen.length;
  const left = [lacking ? t("compare.left_no_limit", { n: lacking }) : "", onlyHeld ? "" : heldWords(held), ...leftOut];
  element("trend-left").textContent = left.filter(Boolean).join(" ");
  const above = limitMg === null ? t("compare.trend_no_limit") : t("compare.trend_limit", { mg: number(limitMg, 1) });
  const none = onlyHeld ? heldWords(held) : t("compare.trend_none", { site: label });
  element("trend-said").textContent = seen.length ? `${t("compare.trend_said", { n: seen.length, site: label })} ${above}` : none;
  drawn = seen.length ? (width) => chart(label, points, width) : null;
  draw();
  const changes = points.filter(({ changed }) => changed.length);
  element("trend-changes").replaceChildren(...changes.map(({ evening, changed }) => make("li", {}, `${dateWords(evening)}: ${changed.join(" ")}`)));
  element("trend-details").hidden = !points.length;
  element("trend-table").replaceChildren(table(points));
}

let drawn = null;

/** Draw to the width that there is. */
function draw() {
  const place = element("trend-chart");
  const width = place.clientWidth;
  if (width || !drawn) place.replaceChildren(...(drawn ? [drawn(width)] : []));
}

new ResizeObserver(draw).observe(element("trend-chart"));

function chart(label, points, width) {
  const dates = points.map(({ evening }) => days(evening));
  const [first, last] = [Math.min(...dates), Math.max(...dates)];
  const span = Math.max(last - first, 1);
  const top = nice(Math.max(1, ...points.map(({ shown }) => shown?.rate_high ?? 0)));
  const x = (day) => (last === first ? (LEFT + width - RIGHT) / 2 : LEFT + 12 + ((day - first) / span) * (width - LEFT - RIGHT - 24));
  const y = (rate) => TOP + (1 - Math.min(rate / top, 1)) * (HEIGHT - TOP - BOTTOM);
  const grid = [0, 0.25, 0.5, 0.75, 1].map((part) => [
    make("line", { class: "grid", x1: LEFT, x2: width - RIGHT, y1: y(part * top), y2: y(part * top) }),
    make("text", { x: LEFT - 8, y: y(part * top) + 4, "text-anchor": "end" }, number(part * top, top < 4 ? 2 : top < 20 ? 1 : 0)),
  ]);
  const ticks = dateTicks(first, last, Math.max(2, Math.floor(width / 150))).map((day) => make("text", { x: x(day), y: HEIGHT - 12, "text-anchor": "middle" }, dateWords(new Date(day * DAY_MS).toISOString().slice(0, 10), span > 300)));
  let count = 0;
  const changes = points.map(({ evening, changed }, k) => {
    if (!changed.length) return null;
    const at = (x(days(evening)) + x(days(points[k - 1].evening))) / 2;
    count += 1;
    return [make("line", { class: "change", x1: at, x2: at, y1: TOP, y2: HEIGHT - BOTTOM }), make("text", { x: at, y: TOP - 3, "text-anchor": "middle" }, String(count))];
  });
  const dots = points.filter(({ shown }) => shown).map(({ evening, at, shown }) => {
    const cx = x(days(evening));
    const words = `${dateWords(evening)}: ${rateWords({ ...at, ...shown })}, ${intervalWords(shown)}; ${aboutWords(at)}`;
    return make(
      "g",
      {},
      make("title", {}, words),
      make("line", { class: "whisker", x1: cx, x2: cx, y1: y(shown.rate_low), y2: y(shown.rate_high) }),
      make("circle", { class: at.state === "observed" ? "dot" : "dot faint", cx, cy: y(shown.rate_per_h), r: 5 }),
    );
  });
  return make("svg", { class: "trend", viewBox: `0 0 ${width} ${HEIGHT}`, role: "img", "aria-label": t("compare.trend_picture", { site: label, n: dots.length }) }, grid, ticks, changes, dots);
}

/** Return a round number at or above a number, four steps of which are round too. */
function nice(most) {
  const power = 10 ** Math.floor(Math.log10(most));
  return [1, 2, 4, 8, 10].find((one) => one * power >= most) * power;
}

function dateTicks(first, last, most) {
  if (first === last) return [first];
  const step = Math.max(1, Math.ceil((last - first) / most));
  const found = [];
  for (let day = first; day <= last; day += step) found.push(day);
  return found;
}

function table(points) {
  const head = ["night", "shown", "rate", "interval", "about", "sensor", "diary"].map((key) => make("th", { scope: "col" }, t(`compare.column_${key}`)));
  const rows = [...points].reverse().map(({ night, evening, at, shown, diary }) =>
    make(
      "tr",
      {},
      make("th", { scope: "row" }, make("a", { href: `/night/${encodeURIComponent(night)}` }, dateWords(evening))),
      make("td", { class: "number" }, shown ? `${rateWords({ ...at, ...shown })} (${intervalWords(shown)})` : "–"),
      make("td", { class: "number" }, rateWords(at)),
      make("td", {}, at.valid_s > 0 ? intervalWords(at) : ""),
      make("td", {}, at.valid_s > 0 ? aboutWords(at) : ""),
      make("td", {}, [at.sensor, at.placement].filter(Boolean).join(", ")),
      make("td", {}, diaryWords(diary)),
    ),
  );
  return make("table", {}, make("thead", {}, make("tr", {}, head)), make("tbody", {}, rows));
}
