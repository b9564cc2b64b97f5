// The same as the pictures, in tables and sentences.
import { make } from "./page.js";
import { t } from "./texts.js";
import { durationWords, intervalWords, limitCell, number, rateDigits } from "./night_words.js";

const COLUMNS = ["twitches", "valid", "rate", "interval", "limit", "state"];

function cells(counts, k) {
  const seen = counts.valid_s[k] > 0;
  return [
    [seen ? number(counts.twitches[k]) : "", "number"],
    [durationWords(counts.valid_s[k]), "number"],
    [seen ? rateCell(counts, k) : "", "number"],
    [intervalWords(counts, k), "number"],
    [limitCell(counts, k), ""],
    [t(`night.state_${counts.state[k]}`) + (counts.little[k] && seen ? `, ${t("night.little")}` : ""), ""],
  ];
}

function rateCell({ twitches, rate_per_h: rate, rate_high: high }, k) {
  return twitches[k] === 0 ? t("night.cell_none") : number(rate[k], rateDigits(rate[k], high[k]));
}

function table(caption, first, rows) {
  const heads = [first, ...COLUMNS.map((name) => t(`night.column_${name}`))];
  const numeric = (i) => i > 0 && i < 5 && "number";
  return make(
    "table",
    {},
    make("caption", {}, caption),
    make("thead", {}, make("tr", {}, heads.map((text, i) => make("th", { scope: "col", class: numeric(i) }, text)))),
    make(
      "tbody",
      {},
      rows.map(([name, values]) =>
        make("tr", {}, make("th", { scope: "row" }, name), values.map(([text, kind]) => make("td", { class: kind }, text))),
      ),
    ),
  );
}

/** Write a table of all sites at a time, and one of all bins of the chosen site. */
export function writeTables(map, sites, clock, k, timeWords, chosen) {
  const at = k ?? 0;
  const rows = sites.map(({ site, label }) => {
    const counts = k === null ? map.bySite[site].night : map.bySite[site].bins;
    return [label, cells(counts, at)];
  });
  document.getElementById("sites-table").replaceChildren(table(t("night.table_sites", { time: timeWords }), t("night.column_site"), rows));
  const one = sites.find(({ site }) => site === chosen);
  const box = document.getElementById("bins-table");
  box.hidden = !one;
  if (!one) return;
  const bins = map.bySite[one.site].bins;
  const times = map.start_s.map((s, i) => [clock.named(Math.max(s, 0)), cells(bins, i)]);
  box.replaceChildren(table(t("night.table_bins", { site: one.label }), t("night.column_time"), times));
}

/** Write what this night cannot tell, one sentence each. */
export function writeLimits(facts, map, grown, places) {
  const sentences = [];
  const labels = (list) => list.map(({ label }) => label).join(", ");
  if (facts.origin === "simulated" || facts.origin === "virtual") sentences.push(t(`night.cannot_${facts.origin}`));
  if (facts.being_written && facts.run) sentences.push(t("night.cannot_running"));
  if (map) {
    const night = (site) => map.bySite[site].night;
    const shares = facts.sites.map(({ site }) => night(site).valid_s[0] / facts.duration_s);
    const [low, high] = [Math.min(...shares), Math.max(...shares)].map((one) => Math.round(100 * one));
    sentences.push(t("night.cannot_valid", { share: low === high ? `${low} %` : `${low} to ${high} %` }));
    const worn = new Set(facts.sites.map(({ base }) => base)).size;
    sentences.push(t("night.cannot_unmeasured", { n: places - worn, all: places }));
    const limited = (kind) => facts.sites.filter(({ site }) => night(site).limit_kind[0] === kind);
    if (limited("found").length) sentences.push(t("night.cannot_limit"));
    for (const kind of ["not_reached", "unknown"]) if (limited(kind).length) sentences.push(t(`night.cannot_limit_${kind}`, { sites: labels(limited(kind)) }));
    const doubtful = facts.sites.filter(({ site }) => map.bySite[site].unconfirmed_s >= 60);
    for (const { site, label } of doubtful)
      sentences.push(t("night.cannot_worn", { site: label, time: durationWords(map.bySite[site].unconfirmed_s) }));
    sentences.push(t("night.cannot_model"));
  }
  if (grown) sentences.push(t("night.cannot_grown"));
  sentences.push(...(facts.run?.warnings ?? []), t("night.cannot_kind"), t("night.cannot_judge"));
  document.getElementById("limits").replaceChildren(...sentences.map((text) => make("li", {}, text)));
}

/** Write the marks beside what was seen around them. */
export function writeMarks(marks, sites, clock) {
  const none = document.getElementById("marks-none");
  const box = document.getElementById("marks");
  box.hidden = !marks.length;
  none.hidden = marks.length > 0;
  none.textContent = t("night.marks_none");
  const label = (site) => sites.find((one) => one.site === site)?.label ?? site;
  box.tBodies[0].replaceChildren(
    ...marks.map((mark) => {
      const seen = mark.near.map((near) =>
        make("li", {}, t(`night.mark_${near.seen}`, { site: label(near.site), s: number(Math.abs(near.after_s ?? 0), 1) })),
      );
      return make(
        "tr",
        {},
        make("th", { scope: "row" }, make("button", { type: "button", "data-at": mark.at_s }, clock.time(mark.at_s, 0))),
        make("td", {}, mark.text),
        make("td", {}, make("ul", {}, seen)),
      );
    }),
  );
}
