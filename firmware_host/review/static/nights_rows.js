// One night as a row, one week as a card, and what their numbers are called.
import { number as written, rateDigits } from "./night_words.js";
import { make } from "./page.js";
import { t } from "./texts.js";

const language = document.documentElement.lang === "en" ? "en-GB" : document.documentElement.lang;
const longDate = new Intl.DateTimeFormat(language, { weekday: "short", day: "numeric", month: "long", year: "numeric", timeZone: "UTC" });

/** Return the sites of nights by name, each with what people call it. */
export const siteLabels = (nights) => new Map(nights.flatMap((night) => night.sites.map((one) => [one.site, one.label])));

/** Tell whether a night's twitches can be looked for; one without samples has none to find. */
export const isUncounted = (night) => !night.runs && !night.recording && night.samples;

/** Return a date such as 2026-11-22 as people read it. */
export const dateText = (iso) => longDate.format(new Date(`${iso}T00:00:00Z`));

/** Return names of nights by their folders; `called` says what one is called. Where that is nothing, or not one's own, the folder stands with it. */
export function nightNames(nights, called) {
  const times = new Map();
  for (const one of nights) times.set(called(one), (times.get(called(one)) ?? 0) + 1);
  const name = (one) => [called(one), called(one) && times.get(called(one)) === 1 ? "" : one.night].filter(Boolean).join(" · ");
  return new Map(nights.map((one) => [one.night, name(one)]));
}

/** Return a local time such as 2026-11-22T23:29:59.600000+01:00 as people read it, by the nearest second as everywhere: "23:30". */
const timeOfDay = (iso) => new Date(1000 * Math.round(Date.parse(iso.replace(/[+-][\d:]+$/, "Z")) / 1000)).toISOString().slice(11, 16);

export const nightPath = (night) => `/night/${encodeURIComponent(night.night)}`;

/** Return a number with as many digits as it can bear; zero is zero, and nothing else is. */
export const number = (value) => (value === 0 ? "0" : written(value, rateDigits(value, value)));

/** Return what a night says of a site: {state, valid_h, twitches, rate, hidden}. All ("") together have `sites` instead of a rate: each has a detection limit of its own. */
export function told(night, site) {
  const sites = night.sites.filter((one) => !site || one.site === site);
  if (!sites.length) return { state: "no_sensor" };
  if (sites.every((one) => one.state === "not_counted")) return { state: "not_counted" };
  const seen = sites.filter((one) => one.valid_h > 0);
  if (!seen.length) return { state: sites.every((one) => one.state === "not_worn") ? "not_worn" : "not_observed" };
  const valid_h = seen.reduce((sum, one) => sum + one.valid_h, 0);
  const state = seen.every((one) => one.state === "wear_unconfirmed") ? "wear_unconfirmed" : "observed";
  if (seen.some((one) => one.twitches === null)) return { state, valid_h, hidden: true };
  const twitches = seen.reduce((sum, one) => sum + one.twitches, 0);
  return { state, valid_h, twitches, ...(site ? { rate: seen[0].rate_per_h } : { sites: seen.length }) };
}

/** Return that in words. */
export function toldText(night, what) {
  if (what.state === "not_counted") return "–";
  if (what.state === "no_sensor" || what.valid_h === undefined) return t(`nights.${what.state}`);
  if (what.hidden) return night.showing === "later" ? t("nights.later") : t("nights.not_shown");
  if (!what.twitches) return t("nights.none_seen");
  return what.sites ? t("nights.twitches", { n: what.twitches, twitches: written(what.twitches) }) : number(what.rate);
}

export function row(night, site, act) {
  const what = told(night, site);
  const cells = [
    make("th", { scope: "row" }, name(night), badges(night)),
    cell("hours", "number", night.hours === null ? t("nights.not_known_yet") : t("nights.hours_long", { hours: night.hours.toFixed(1) })),
    cell("sites", "", night.sites.map((one) => one.label).join(", ")),
    cell("valid", "number", night.valid_share === null ? "–" : `${Math.round(100 * night.valid_share)} %`),
    cell(site ? "rate" : "counted", "number", toldText(night, what), beside(what)),
    cell("notes", "", notes(night), search(night, act)),
  ];
  return make("tr", {}, cells);
}

function cell(name, kind, ...content) {
  return make("td", { class: kind, "data-name": t(`nights.${name}`) }, make("div", {}, content));
}

function name(night) {
  const text = night.evening ? dateText(night.evening) : t("nights.of_unknown_date");
  const more = [night.evening ? timeOfDay(night.start) : night.night, night.participant, night.label].filter((one) => one && one !== night.origin); // the badge says that
  return [make("a", { id: `open ${night.night}`, href: nightPath(night) }, text), make("div", { class: "quiet small" }, more.join(" · "))];
}

function badges(night) {
  const kinds = [night.recording ? "recording" : "", night.origin === "recorded" ? "" : night.origin].filter(Boolean);
  return kinds.map((kind) => make("span", { class: "badge" }, t(`nights.${kind}`)));
}

function beside(what) {
  const said = [];
  const hours = what.valid_h !== undefined && number(what.valid_h);
  if (hours && !what.hidden) said.push(what.sites ? t("nights.in_sites", { hours, n: what.sites }) : t("nights.in_valid", { hours }));
  if (what.state === "wear_unconfirmed") said.push(t("nights.wear_unconfirmed"));
  return said.map((text) => make("div", { class: "quiet small" }, text));
}

function notes(night) {
  if (!night.warnings.length) return null;
  const list = make("ul", {}, night.warnings.map((text) => make("li", {}, text)));
  return make("details", { id: `notes ${night.night}` }, make("summary", { id: `summary ${night.night}` }, t("nights.n_notes", { n: night.warnings.length })), list);
}

function search(night, act) {
  const { state, progress, sentence } = night.detection;
  if (state === "waiting" || state === "running") {
    const text = state === "waiting" ? t("nights.waiting") : t("nights.running", { percent: Math.round(100 * progress) });
    const label = t("nights.stop_in", { night: night.night });
    const button = make("button", { id: `stop ${night.night}`, "aria-label": label, onclick: () => act.stop(night) }, t("nights.stop"));
    return make("div", { class: "row" }, make("progress", { max: 1, value: progress, "aria-label": text }), make("span", {}, text), button);
  }
  const parts = [];
  if (state === "failed") parts.push(make("p", { class: "small" }, t("nights.failed", { sentence })));
  if (!night.runs && !night.recording && !night.samples) parts.push(make("p", { class: "small quiet" }, t("nights.no_samples")));
  if (isUncounted(night)) {
    const label = t("nights.find_in", { night: night.night });
    parts.push(make("button", { id: `find ${night.night}`, "aria-label": label, onclick: () => act.find(night) }, t("nights.find")));
  }
  return parts;
}

export function week(one) {
  const rows = one.sites.map((site) =>
    make(
      "tr",
      {},
      make("th", { scope: "row" }, site.label),
      make("td", { class: "number" }, t("nights.hours_long", { hours: number(site.valid_h) })),
      make("td", { class: "number" }, site.twitches ? written(site.twitches) : t("nights.none_seen")),
    ),
  );
  const heads = ["sites", "week_valid", "week_twitches"].map((key, index) =>
    make("th", { scope: "col", class: index ? "number" : "" }, t(`nights.${key}`)),
  );
  return make(
    "div",
    { class: "card" },
    make("h3", {}, t("nights.week_of", { date: dateText(one.monday) })),
    make("p", { class: "quiet" }, [t("nights.week_nights", { n: one.nights }), one.participant].filter(Boolean).join(", ")),
    one.mixed ? make("p", { class: "small" }, t("nights.mixed")) : null,
    make("table", { class: "plain" }, make("thead", {}, make("tr", {}, heads)), make("tbody", {}, rows)),
  );
}
