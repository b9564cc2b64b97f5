// Nights beside each other: chosen into two sides, shown with their intervals; a ratio only where the rules allow one.
import { get } from "./api.js";
import { heldBack, heldWords, withoutHeld } from "./compare_held.js";
import { drawTrend } from "./compare_trend.js";
import { aboutWords, dateWords, endWords, fieldWords, intervalWords, levelWords, rateWords, ratioWords } from "./compare_words.js";
import { number } from "./night_words.js";
import { nightNames, siteLabels } from "./nights_rows.js";
import { make, say } from "./page.js";
import { t } from "./texts.js";

const SHOWN = 8;
const MORE = 30;
const element = (id) => document.getElementById(id);
const sides = { a: [], b: [] };
let nights = [];
let names = new Map();
let shown = SHOWN;
let asked = false;
let turn = 0;
let trendTurn = 0;

/** What a night is called here: its evening, if it is known, and its label. */
function called({ evening, label, origin }) {
  return [evening && dateWords(evening), label !== origin && label].filter(Boolean).join(", ");
}

function row(night) {
  const name = names.get(night.night);
  const badge = night.made_up ? make("span", { class: "badge" }, t("compare.badge_made_up")) : null;
  const button = (side) =>
    make("button", { type: "button", "aria-pressed": String(sides[side].includes(night.night)), "aria-label": t(`compare.to_${side}`, { night: name }), onclick: () => choose(night.night, side) }, side.toUpperCase());
  return make(
    "tr",
    { "data-night": night.night },
    make("th", { scope: "row" }, name, " ", badge),
    make("td", { class: "quiet" }, night.sites.map((one) => one.label).join(", ")),
    make("td", {}, make("div", { class: "sides", role: "group", "aria-label": name }, button("a"), button("b"))),
  );
}

function list() {
  element("nights").tBodies[0].replaceChildren(...nights.slice(0, shown).map(row));
  element("more").hidden = nights.length <= shown;
}

async function choose(night, side) {
  const other = side === "a" ? "b" : "a";
  sides[other] = sides[other].filter((one) => one !== night);
  sides[side] = sides[side].includes(night) ? sides[side].filter((one) => one !== night) : [...sides[side], night];
  list();
  element("nights").querySelector(`[data-night="${CSS.escape(night)}"] button:nth-of-type(${side === "a" ? 1 : 2})`)?.focus();
  await update();
}

/** Show what is chosen: the table at once, the ratio where both sides have nights. */
async function update() {
  const mine = ++turn;
  element("state").textContent = "";
  remember();
  const order = (side) => nights.filter((night) => side.includes(night.night)).map((night) => night.night).reverse();
  const chosen = [...order(sides.a), ...order(sides.b)];
  element("beside").hidden = !chosen.length;
  if (!chosen.length) element("ratio").hidden = true;
  if (!chosen.length) return;
  try {
    const answer = await get("/compare", { nights: chosen, show: asked });
    if (mine !== turn) return;
    table(answer);
    await ratio(mine);
  } catch (error) {
    if (mine === turn) problem(error);
  }
}

function table({ nights: compared, warnings }) {
  element("warnings").hidden = !warnings.length;
  element("warnings").replaceChildren(...warnings.map((one) => make("li", {}, one)));
  const known = [...new Map(compared.flatMap((one) => one.sites.map((site) => [site.site, site.label])))];
  const places = known.length ? known : [[element("site").value, element("site").selectedOptions[0].textContent]];
  const top = Math.max(1, ...compared.flatMap((one) => one.sites.map((site) => site.rate_high ?? 0)));
  const head = compared.map((one) =>
    make("th", { scope: "col" }, make("span", { class: "side-name" }, sides.a.includes(one.night) ? "A" : "B"), " ", one.evening ? dateWords(one.evening) : one.title, one.made_up ? [" ", make("span", { class: "badge" }, t("compare.badge_made_up"))] : null),
  );
  const rows = places.map(([site, label]) => make("tr", {}, make("th", { scope: "row" }, label), compared.map((one) => cell(one, site, top))));
  const fields = [...new Set(compared.flatMap((one) => Object.keys(one.diary)))];
  const diary = fields.map((field) => make("tr", {}, make("th", { scope: "row" }, fieldWords(field)), compared.map((one) => make("td", {}, one.diary[field] ? levelWords(one.diary[field]) : ""))));
  element("beside-table").replaceChildren(
    make("table", {}, make("thead", {}, make("tr", {}, make("td"), head)), make("tbody", {}, rows), diary.length ? make("tbody", { class: "diary" }, make("tr", {}, make("th", { scope: "rowgroup", class: "quiet" }, t("compare.diary")), compared.map(() => make("td"))), diary) : null),
  );
}

function cell(night, site, top) {
  const one = night.sites.find((each) => each.site === site);
  if (!one) return make("td", { class: "quiet" }, night.hidden ? heldCell(night) : night.problem || t("compare.not_measured"));
  if (!(one.valid_s > 0)) return make("td", { class: "quiet" }, rateWords(one));
  const x = (rate) => 6 + (188 * rate) / top;
  return make(
    "td",
    { class: "cell" },
    make("strong", {}, rateWords(one)),
    make("span", {}, intervalWords(one)),
    make(
      "svg",
      { class: "interval", viewBox: "0 0 200 16", preserveAspectRatio: "none", "aria-hidden": "true" },
      make("line", { class: "base", x1: 6, x2: 194, y1: 8, y2: 8 }),
      make("line", { x1: x(one.rate_low), x2: Math.max(x(one.rate_high), x(one.rate_low) + 1), y1: 8, y2: 8 }),
      make("rect", { x: x(one.rate_per_h) - 1.5, y: 1, width: 3, height: 14, fill: "currentColor" }),
    ),
    make("span", { class: "quiet" }, aboutWords(one)),
  );
}

const heldCell = ({ night }) => t(nights.find((one) => one.night === night)?.showing === "later" ? "compare.cell_later" : "compare.cell_on_request");

/** Say how many times as many, or why that is not said. Two sites are compared in all nights that are chosen. */
async function ratio(mine) {
  const site = element("site").value;
  const other = element("other-site").value || null;
  const all = [...sides.a, ...sides.b];
  element("ratio").hidden = !(sides.a.length && sides.b.length) && !(other && all.length);
  if (element("ratio").hidden) return;
  const query = other ? { a: all, b: all } : { a: sides.a, b: sides.b };
  const answer = await get("/compare/ratio", { site, other_site: other, ...query, show: asked });
  if (mine !== turn) return;
  const digits = (value) => (value < 1 ? 2 : value < 10 ? 1 : 0);
  const text = (value) => number(value ?? 0, digits(value ?? 0));
  const values = { a: answer.a.label, b: answer.b.label, ratio: ratioWords(answer.ratio), low: endWords(answer.low), high: endWords(answer.high) };
  element("ratio-title").textContent = other ? t("compare.ratio_sites", values) : t("compare.ratio");
  const held = heldBack(nights, asked).filter(({ night }) => all.includes(night));
  element("ratio-said").textContent = (answer.refused && heldWords(held)) || answer.refused || t(other ? "compare.ratio_of_sites" : "compare.ratio_is", values);
  element("ratio-sides").textContent = answer.limit_mg === null ? "" : t("compare.ratio_sides", { mg: number(answer.limit_mg, 1), one: other ? answer.a.label : t("compare.side_a"), two: other ? answer.b.label : t("compare.side_b"), na: t("compare.side_nights", { n: answer.a.nights }), nb: t("compare.side_nights", { n: answer.b.nights }), ra: text(answer.a.rate_per_h), rb: text(answer.b.rate_per_h) });
  const warnings = [...answer.warnings, answer.refused ? "" : heldWords(held), ...withoutHeld(answer.left_out, nights, asked)].filter(Boolean);
  element("ratio-warnings").replaceChildren(...warnings.map((one) => make("li", {}, one)));
  element("ratio-warnings").hidden = !warnings.length;
  element("ratio-how").hidden = Boolean(answer.refused);
  say(element("ratio-said").textContent);
}

async function showTrend() {
  const mine = ++trendTurn;
  element("state").textContent = "";
  remember();
  const site = element("site").value;
  try {
    const answer = await get("/compare/trend", { site, show: asked });
    if (mine !== trendTurn) return;
    const held = heldBack(nights, asked).filter((night) => night.sites.some((one) => one.site === site));
    drawTrend({ ...answer, left_out: withoutHeld(answer.left_out, nights, asked) }, held);
  } catch (error) {
    if (mine === trendTurn) problem(error);
  }
}

function problem(error) {
  element("state").textContent = error.message;
  say(error.message);
}

/** Keep what is chosen in the address. */
function remember() {
  const query = new URLSearchParams([...sides.a.map((one) => ["a", one]), ...sides.b.map((one) => ["b", one]), ["site", element("site").value]]);
  history.replaceState(null, "", `?${query}`);
}

/** The newest seven against the seven before, of nights that somebody slept where there are any. */
async function recent() {
  const slept = nights.filter((night) => !night.made_up && night.runs);
  const from = slept.length ? slept : nights.filter((night) => night.runs);
  const half = Math.min(7, Math.floor(from.length / 2));
  const names = from.map((night) => night.night);
  sides.b = names.slice(0, half || names.length);
  sides.a = names.slice(half, 2 * half);
  list();
  await update();
}

async function load() {
  const query = new URLSearchParams(location.search);
  const answer = await get("/nights", { show: asked });
  nights = answer.nights;
  names = nightNames(nights, called);
  const known = new Set(nights.map((night) => night.night));
  for (const side of ["a", "b"]) if (!sides[side].length) sides[side] = query.getAll(side).filter((one) => known.has(one));
  element("ask").hidden = asked || !nights.some((night) => night.showing === "on_request");
  const labels = siteLabels(nights);
  const sites = [...labels.keys()].sort();
  const wanted = element("site").value || query.get("site") || (await busiest(sites));
  element("site").replaceChildren(...sites.map((name) => make("option", { value: name, selected: name === wanted }, labels.get(name))));
  element("other-site").replaceChildren(make("option", { value: "" }, t("compare.same_site")), ...sites.map((name) => make("option", { value: name }, labels.get(name))));
  element("work").hidden = !sites.length;
  element("state").textContent = sites.length ? "" : t("compare.none");
  if (!sites.length) return;
  list();
  await Promise.all([showTrend(), update()]);
}

/** Return the site that most nights have. */
async function busiest(names) {
  const had = (name) => nights.filter((night) => !night.made_up && night.sites.some((one) => one.site === name)).length;
  return [...names].sort((one, other) => had(other) - had(one))[0];
}

element("site").addEventListener("change", () => Promise.all([showTrend(), update()]));
element("other-site").addEventListener("change", update);
element("recent").addEventListener("click", recent);
element("clear").addEventListener("click", async () => {
  sides.a = [];
  sides.b = [];
  list();
  await update();
});
element("more").addEventListener("click", () => {
  shown += MORE;
  list();
});
element("show").addEventListener("click", () => {
  asked = true;
  load().catch(problem);
});
load()
  .catch(problem)
  .finally(() => (document.body.dataset.ready = "yes"));
