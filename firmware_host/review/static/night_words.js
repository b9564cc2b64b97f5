// How a night's numbers read: a rate never stands without its interval, nor a count without its limit.
import { t } from "./texts.js";

export const number = (value, digits = 0) => value.toLocaleString("en", { minimumFractionDigits: digits, maximumFractionDigits: digits });

/** Return what people call a unit; results count them from 0. */
export const unitNumber = (unit) => unit + 1;

/** Return the digits that a rate and its interval have, on every page. */
export const rateDigits = (rate, high) => (rate >= 10 || high >= 100 ? 0 : rate >= 0.1 || high >= 1 ? 1 : 2);

/** Return an interval's ends: {low, high}. Zero is zero, without digits. */
export function intervalParts(rate, low, high) {
  const digits = rateDigits(rate, high);
  return { low: low === 0 ? "0" : number(low, digits), high: number(high, digits) };
}

/** Return a site's number with its interval: "38 per valid hour (31 to 46)". */
export function rateWords(counts, k) {
  if (counts.state[k] === "not_worn") return t("night.not_worn");
  if (!(counts.valid_s[k] > 0)) return t("night.not_observed");
  const [rate, low, high] = [counts.rate_per_h[k], counts.rate_low[k], counts.rate_high[k]];
  const values = { rate: number(rate, rateDigits(rate, high)), ...intervalParts(rate, low, high) };
  return t(counts.twitches[k] === 0 ? "night.rate_none" : "night.rate", values);
}

/** Return the interval alone: "31 to 46". */
export function intervalWords(counts, k) {
  if (!(counts.valid_s[k] > 0)) return "";
  return t("night.interval", intervalParts(counts.rate_per_h[k], counts.rate_low[k], counts.rate_high[k]));
}

/** Return how much was observed: "6 h 12 min valid of 8 h". */
export function validWords(counts, k, ofS) {
  if (!(counts.valid_s[k] > 0)) return t("night.valid_none", { of: durationWords(ofS) });
  const words = t("night.valid", { valid: durationWords(counts.valid_s[k]), of: durationWords(ofS) });
  return counts.little[k] ? `${words}, ${t("night.little")}` : words;
}

/** Return the smallest twitch that could be found. */
export function limitWords(counts, k) {
  return limited(counts, k, "night.limit");
}

/** Return the same for a table whose heading says what it is. */
export function limitCell(counts, k) {
  return limited(counts, k, "night.cell_limit");
}

function limited(counts, k, key) {
  const kind = counts.limit_kind[k];
  return kind === "found" ? t(key, { mg: number(counts.detection_limit_mg[k], 1) }) : t(`${key}_${kind}`);
}

/** Return a duration: "6 h 12 min"; below a minute in seconds. */
export function durationWords(seconds) {
  if (seconds < 59.5) return t("night.seconds", { s: number(seconds, seconds < 9.95 && seconds % 1 ? 1 : 0) });
  const minutes = Math.round(seconds / 60);
  const [hours, rest] = [Math.floor(minutes / 60), minutes % 60];
  if (!hours) return t("night.minutes", { min: rest });
  return rest ? t("night.hours_minutes", { h: hours, min: rest }) : t("night.hours", { h: hours });
}

/** Return an acceleration in mg, or in g where it is large. */
export function accelerationWords(mg) {
  return Math.abs(mg) >= 1000 ? `${number(mg / 1000, mg % 1000 ? 1 : 0)} g` : `${number(mg, mg % 1 ? 1 : 0)} mg`;
}
