// One body from many nights: each site's last measured value with its date and limit.
import { get } from "./api.js";
import { make, say } from "./page.js";
import { t } from "./texts.js";
import { Figure, siteWords, writeLegend } from "./night_figure.js";
import { limitCell, rateWords } from "./night_words.js";

const id = (name) => document.getElementById(name);
let [chosen, body, figure, map] = [null, null, null, null];

if (id("asked").hidden) start();
else
  id("show-numbers").addEventListener("click", () => {
    id("asked").hidden = true;
    id("body").hidden = false;
    start();
  });

async function start() {
  try {
    body = await get("/body", { show: true });
  } catch (error) {
    id("of").textContent = error.message;
    return;
  }
  const words = body.sites.length ? t("body.of", { n: body.nights }) : t("body.none");
  id("of").textContent = [words, body.made_up ? t("body.made_up") : "", ...body.left_out].filter(Boolean).join(" ");
  id("made-up").hidden = !body.made_up;
  for (const name of ["last-title", "last"]) id(name).hidden = !body.sites.length;
  id("detectors").hidden = body.detectors < 2;
  map = {
    night_scale: body.scale,
    bySite: Object.fromEntries(body.sites.map((one) => [one.site, { night: one.counts, durationS: one.duration_s }])),
  };
  figure = new Figure(document.querySelector(".figure"), body.sites, choose);
  show();
  writeTable();
  writeSuggested();
}

function show() {
  figure.paint(map, null, chosen);
  const states = new Set(body.sites.map((one) => one.counts.state[0]));
  if (body.sites.some((one) => one.counts.little[0])) states.add("little");
  writeLegend(map, null, states);
  for (const row of id("last").querySelectorAll("[data-row]")) row.classList.toggle("chosen", row.dataset.row === chosen);
  const one = body.sites.find(({ site }) => site === chosen);
  id("one").hidden = !one;
  if (one) id("one").textContent = `${evening(one.evening)}. ${siteWords(one.label, one.counts, 0, one.duration_s)}`;
}

function choose(site) {
  chosen = chosen === site ? null : site;
  show();
  if (chosen) say(id("one").textContent);
}

function evening(date) {
  if (!date) return t("body.date_unknown");
  return new Date(date).toLocaleDateString("en-GB", { day: "numeric", month: "short", year: "numeric", timeZone: "UTC" });
}

function writeTable() {
  if (!body.sites.length) return;
  const heads = ["site", "evening", "rate", "limit", "nights"].map((name) => make("th", { scope: "col" }, t(`body.${name}`)));
  const rows = body.sites.map((one, k) =>
    make(
      "tr",
      { "data-row": one.site },
      make("th", { scope: "row" }, `${k + 1} ${one.label}`),
      make("td", {}, make("a", { href: `/night/${encodeURIComponent(one.night)}?site=${one.site}` }, evening(one.evening))),
      make("td", {}, rateWords(one.counts, 0)),
      make("td", {}, limitCell(one.counts, 0)),
      make("td", { class: "number" }, String(one.nights)),
    ),
  );
  id("last").replaceChildren(
    make("table", {}, make("caption", { class: "unseen" }, t("body.caption")), make("thead", {}, make("tr", {}, heads)), make("tbody", {}, rows)),
  );
}

function writeSuggested() {
  const items = body.suggested.map((one) => t(`body.${one.why}`, { site: one.label, evening: evening(one.last) }));
  id("suggested").replaceChildren(...(items.length ? items : [t("body.no_suggestion")]).map((text) => make("li", {}, text)));
}
