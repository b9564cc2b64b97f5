// Diary and twitches: every night is a dot at its level. Nothing is computed of the dots, and nothing is said of them.
import { get, send } from "./api.js";
import { heldBack, heldWords, withoutHeld } from "./compare_held.js";
import { dateWords, fieldWords, intervalWords, levelWords } from "./compare_words.js";
import { number, rateDigits } from "./night_words.js";
import { siteLabels } from "./nights_rows.js";
import { make, say } from "./page.js";
import { t } from "./texts.js";

const [WIDEST, TOP, BOTTOM, LEFT] = [720, 16, 34, 48];
const HEIGHT = 340;
const element = (id) => document.getElementById(id);
let asked = false;
let drawn = null;
let loads = 0;
let looks = 0;

/** Draw to the width that there is. */
function draw() {
  const width = Math.min(element("dots").clientWidth, WIDEST);
  if (drawn && width) element("dots").replaceChildren(dots(drawn, width));
}

new ResizeObserver(draw).observe(element("dots"));

const level = (name) => (name === "any" ? t("triggers.any") : levelWords(name));

async function load(site) {
  const mine = ++loads;
  looks += 1; // what was looked at before is of another site, or without what is shown now
  try {
    const answer = await get("/triggers", { site, show: asked });
    const { nights } = await get("/nights", { show: asked });
    if (mine !== loads) return;
    const held = heldBack(nights, asked);
    const labels = siteLabels(nights);
    element("ask").hidden = asked || !nights.some((one) => one.showing === "on_request");
    element("work").hidden = !answer.site;
    element("state").textContent = answer.site ? "" : heldWords(held) || t("triggers.none");
    if (!answer.site) return;
    element("site").replaceChildren(...answer.sites.map((one) => make("option", { value: one, selected: one === answer.site }, labels.get(one) ?? one)));
    element("nights").textContent = t("triggers.nights", { n: answer.nights });
    element("factors").tBodies[0].replaceChildren(...answer.factors.map(row));
    element("left").textContent = [heldWords(held), ...withoutHeld(answer.left_out, nights, asked)].filter(Boolean).join(" ");
    looked(answer);
  } catch (error) {
    if (mine === loads) problem(error);
  }
}

function row({ name, levels, refused }) {
  const counts = levels.map((one) => t("triggers.level", { level: level(one.level), n: one.nights })).join(", ");
  const button = make("button", { type: "button", "data-factor": name, "aria-label": t("triggers.look_at", { factor: fieldWords(name) }), onclick: () => look(name) }, t("triggers.look"));
  return make("tr", {}, make("th", { scope: "row" }, fieldWords(name)), make("td", {}, counts), make("td", {}, refused ? make("span", { class: "quiet" }, refused) : button));
}

async function look(factor) {
  const mine = ++looks;
  element("state").textContent = "";
  try {
    const answer = await send("POST", "/triggers", { factor, site: element("site").value, show: asked });
    if (mine !== looks) return;
    if (answer.refused) throw new Error(answer.refused);
    element("picture").hidden = false;
    element("picture-title").textContent = t("triggers.picture", { factor: fieldWords(factor), site: answer.label });
    drawn = answer;
    draw();
    element("dots-table").replaceChildren(table(answer));
    looked(answer);
    element("picture-title").focus();
  } catch (error) {
    if (mine === looks) problem(error);
  }
}

function looked({ looked_factors: factors, looked_pictures: pictures }) {
  element("looked").textContent = factors ? `${t("triggers.looked", { n: factors, pictures })} ${t("triggers.looked_means")}` : t("triggers.looked_none");
}

/** Dots side by side where they would lie on each other: no place along the level means anything. */
function dots({ levels, label }, wide) {
  const top = nice(Math.max(1, ...levels.flatMap((one) => one.dots.map((dot) => dot.rate_per_h * 1.02))));
  const y = (rate) => TOP + (1 - Math.min(rate / top, 1)) * (HEIGHT - TOP - BOTTOM);
  const width = (wide - LEFT) / levels.length;
  const grid = [0, 0.25, 0.5, 0.75, 1].map((part) => [
    make("line", { class: "grid", x1: LEFT, x2: wide, y1: y(part * top), y2: y(part * top) }),
    make("text", { x: LEFT - 8, y: y(part * top) + 5, "text-anchor": "end" }, number(part * top, top < 4 ? 2 : top < 20 ? 1 : 0)),
  ]);
  const parts = levels.map((one, k) => {
    const middle = LEFT + width * (k + 0.5);
    const lanes = [];
    const marks = [...one.dots].sort((a, b) => a.rate_per_h - b.rate_per_h).map((dot) => {
      const cy = y(dot.rate_per_h);
      const free = lanes.findIndex((last) => last - cy >= 12);
      const lane = free < 0 ? lanes.length : free;
      lanes[lane] = cy;
      const cx = middle + (lane % 2 ? 1 : -1) * Math.ceil(lane / 2) * 13;
      return make("circle", { cx, cy, r: 5.5 }, make("title", {}, `${dot.evening ? dateWords(dot.evening) : dot.night}: ${number(dot.rate_per_h, rateDigits(dot.rate_per_h, dot.rate_high))}`));
    });
    return [marks, make("text", { class: "level", x: middle, y: HEIGHT - 10, "text-anchor": "middle" }, t("triggers.level", { level: level(one.level), n: one.dots.length }))];
  });
  return make("svg", { class: "dots", width: wide, height: HEIGHT, viewBox: `0 0 ${wide} ${HEIGHT}`, role: "img", "aria-label": t("triggers.dots_picture", { site: label }) }, grid, parts);
}

function nice(most) {
  const power = 10 ** Math.floor(Math.log10(most));
  return [1, 2, 4, 8, 10].find((one) => one * power >= most) * power;
}

function table({ levels }) {
  const rows = levels.flatMap((one) => one.dots.map((dot) => make("tr", {}, make("td", {}, level(one.level)), make("th", { scope: "row" }, dot.evening ? dateWords(dot.evening) : dot.night), make("td", { class: "number" }, number(dot.rate_per_h, rateDigits(dot.rate_per_h, dot.rate_high))), make("td", {}, intervalWords(dot)))));
  const head = ["triggers.column_level", "compare.column_night", "compare.column_rate", "compare.column_interval"].map((key) => make("th", { scope: "col" }, t(key)));
  return make("table", {}, make("thead", {}, make("tr", {}, head)), make("tbody", {}, rows));
}

function problem(error) {
  element("state").textContent = error.message;
  say(error.message);
}

element("site").addEventListener("change", () => {
  element("picture").hidden = true;
  load(element("site").value);
});
element("show").addEventListener("click", () => {
  asked = true;
  load(element("site").value || undefined);
});
await load();
document.body.dataset.ready = "yes";
