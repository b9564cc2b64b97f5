// How a site's night reads beside others: number, interval, valid time, limit.
import { durationWords, intervalParts, number, rateDigits } from "./night_words.js";
import { t } from "./texts.js";

export function rateWords(site) {
  if (site.state === "not_worn") return t("compare.not_worn");
  if (!(site.valid_s > 0)) return t("compare.not_observed");
  if (site.twitches === 0) return t("compare.none_seen");
  return number(site.rate_per_h, rateDigits(site.rate_per_h, site.rate_high));
}

/** Return a ratio with two digits. */
export const ratioWords = (value) => number(value ?? 0, value >= 10 ? 0 : 2);

/** Return an end of a ratio's interval. What is not 1 does not read as 1: whether it holds 1 is what is looked for. */
export const endWords = (value) => (Math.abs(value - 1) < 0.005 ? number(value, 3) : ratioWords(value));

export function intervalWords(site) {
  return t("compare.interval", intervalParts(site.rate_per_h, site.rate_low, site.rate_high));
}

export function aboutWords(site) {
  const limit = t(`compare.limit_${site.limit_kind}`, { mg: number(site.detection_limit_mg ?? 0, 1) });
  const parts = [t("compare.valid", { valid: durationWords(site.valid_s) }), limit];
  if (site.state === "wear_unconfirmed") parts.push(t("compare.unconfirmed"));
  return parts.join(", ");
}

/** Return a date such as "22 Nov 2026". */
export function dateWords(iso, long = true) {
  const form = { day: "numeric", month: "short", timeZone: "UTC", ...(long ? { year: "numeric" } : {}) };
  return new Date(`${iso}T12:00:00Z`).toLocaleDateString("en-GB", form);
}

/** Return what a diary says: "caffeine: much, sleep: well". */
export function diaryWords(diary) {
  return Object.entries(diary).map(([name, value]) => `${fieldWords(name)}: ${levelWords(value)}`).join("; ");
}

export const fieldWords = (name) => t(`diary.field_${name}`);
const LEVELS = new Set(["none", "little", "some", "much", "no", "yes", "badly", "fairly", "well"]);
export const levelWords = (value) => (LEVELS.has(value) ? t(`diary.level_${value}`) : value);
