// Times, lengths and shares as a person reads them.
import { t } from "./texts.js";

const TOLD_H = 20; // what ends later is not told by the time of day

/** Return a time (UTC, ns) on the clock of a time zone; of what is not known, null. */
export function clock(ns, timeZone) {
  if (ns === null || ns === undefined) return null;
  const form = { hour: "2-digit", minute: "2-digit", hourCycle: "h23" };
  try {
    return new Intl.DateTimeFormat("en", { ...form, timeZone }).format(ns / 1e6);
  } catch {
    return new Intl.DateTimeFormat("en", form).format(ns / 1e6); // a zone that this browser does not know
  }
}

/** Return a length of time: 7 h 52 min, 12 min, 40 s. */
export function length(seconds) {
  if (seconds < 100) return t("tonight.seconds", { s: Math.round(seconds) });
  const minutes = Math.round(seconds / 60);
  if (minutes < 100) return t("tonight.minutes", { m: minutes });
  return t("tonight.hours_minutes", { h: Math.floor(minutes / 60), m: String(minutes % 60).padStart(2, "0") });
}

/** Return a share in percent; what is not all of it never reads as 100 %, and what is not nothing never as 0 %. */
export function percent(share) {
  if (share === 0) return "0 %";
  const value = Math.min(share * 100, share < 1 ? 99.9 : 100);
  return value < 0.1 ? "< 0.1 %" : `${value.toFixed(value === 100 ? 0 : 1)} %`;
}

/** Return how full a battery is, and for how long it does. */
export function battery(one, nowNs, timeZone) {
  const percent = one.battery_percent;
  if (percent === null) return null;
  if (one.battery_ends_ns === null) return t("tonight.battery", { percent });
  const hours = Math.max(0, Math.round((one.battery_ends_ns - nowNs) / 3.6e12));
  const time = clock(one.battery_ends_ns, timeZone);
  return t(hours < TOLD_H ? "tonight.battery_until" : "tonight.battery_hours", { percent, hours, time });
}
