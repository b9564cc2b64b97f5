// Nights by month. A day's shade follows the rate of one site; made-up nights have none, and no night is hidden.
import { dateText, nightPath, number, told, toldText } from "./nights_rows.js";
import { number as written } from "./night_words.js";
import { make } from "./page.js";
import { t } from "./texts.js";

const SHADES = 8;
const language = document.documentElement.lang === "en" ? "en-GB" : document.documentElement.lang;
const monthName = new Intl.DateTimeFormat(language, { month: "long", year: "numeric", timeZone: "UTC" });
const dayName = new Intl.DateTimeFormat(language, { weekday: "short", timeZone: "UTC" });
const MONDAY = Date.UTC(2024, 0, 1);
const DAY_MS = 86400000;

/** Return the newest months that have nights as tables, the legend, and whether there are more. */
export function months(nights, site, most) {
  const byDay = Map.groupBy ? Map.groupBy(nights, (night) => night.evening) : grouped(nights);
  const rates = nights.filter((night) => !night.made_up).map((night) => told(night, site).rate ?? 0);
  const top = Math.max(0, ...rates);
  const all = [...new Set([...byDay.keys()].filter(Boolean).map((day) => day.slice(0, 7)))].sort().reverse();
  const dateless = byDay.get(null);
  const tables = all.slice(0, most).map((month) => monthTable(month, byDay, site, top));
  if (dateless) tables.push(make("div", {}, make("h3", {}, t("nights.of_unknown_date")), dateless.map((night) => link(night, site, top, night.night))));
  return { months: tables, legend: top > 0 ? legend(top) : site ? [] : [t("nights.legend_counts")], more: all.length > most };
}

function grouped(nights) {
  const found = new Map();
  for (const night of nights) found.set(night.evening, [...(found.get(night.evening) ?? []), night]);
  return found;
}

function monthTable(month, byDay, site, top) {
  const first = new Date(`${month}-01T00:00:00Z`);
  const lead = (first.getUTCDay() + 6) % 7;
  const length = new Date(Date.UTC(first.getUTCFullYear(), first.getUTCMonth() + 1, 0)).getUTCDate();
  const cells = [...Array(lead).fill(null), ...Array.from({ length }, (_, index) => index + 1)];
  while (cells.length % 7) cells.push(null);
  const weeks = Array.from({ length: cells.length / 7 }, (_, index) => cells.slice(7 * index, 7 * index + 7));
  const heads = Array.from({ length: 7 }, (_, index) => make("th", { scope: "col" }, dayName.format(MONDAY + index * DAY_MS)));
  const day = (number) => {
    if (number === null) return make("td", {});
    const nights = byDay.get(`${month}-${String(number).padStart(2, "0")}`) ?? [];
    const content = nights.length ? nights.map((night) => link(night, site, top, String(number))) : make("span", { class: "quiet" }, String(number));
    return make("td", {}, content);
  };
  return make(
    "table",
    { class: "month" },
    make("caption", {}, monthName.format(first)),
    make("thead", {}, make("tr", {}, heads)),
    make("tbody", {}, weeks.map((week) => make("tr", {}, week.map(day)))),
  );
}

function link(night, site, top, text) {
  const what = told(night, site);
  const words = [toldText(night, what), night.made_up ? t(`nights.${night.origin}`) : "", night.recording ? t("nights.recording") : ""];
  const said = words.filter((word) => word && word !== "–").join(", ") || t("nights.no_rate");
  const label = t("nights.day_of", { date: night.evening ? dateText(night.evening) : night.night, what: said });
  const shade = what.rate === undefined ? "" : `shade-${shadeOf(what.rate, top)}`;
  const shown = what.sites ? brief(what.twitches) : what.rate === undefined ? "" : number(what.rate);
  return make("a", { class: `day ${night.made_up || !shown ? "made-up" : shade}`, href: nightPath(night), "aria-label": label }, make("span", {}, text), make("strong", {}, shown));
}

/** A count as wide as a day is; the label has all of it. */
const brief = (count) => (count < 10_000 ? written(count) : `${Math.round(count / 1000)}k`);

/** The square root keeps small rates apart where one night had many. */
function shadeOf(rate, top) {
  return top > 0 ? Math.min(SHADES - 1, Math.floor(SHADES * Math.sqrt(rate / top))) : 0;
}

function legend(top) {
  const swatches = [0, 2, 4, 6].map((shade) =>
    make("span", { class: `day swatch shade-${shade}` }, t("nights.per_hour", { rate: number(top * (shade / SHADES) ** 2) })),
  );
  swatches.push(make("span", { class: "day swatch made-up" }, t("nights.legend_other")));
  return [make("span", {}, t("nights.legend")), ...swatches];
}
