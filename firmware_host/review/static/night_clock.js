// Local time of a night: the night's own time zone, right through clock changes. Seconds count from its start.
import { t } from "./texts.js";

const STEPS_S = [0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 30, 60, 300, 900, 1800, 3600, 7200, 10800, 21600, 43200, 86400];
const DAY_S = 86400;
const LONG_S = DAY_S + 3600; // so long a day may be: in what is longer, times need their dates
const two = (number) => String(number).padStart(2, "0");

export class Clock {
  constructor(facts) {
    this.startS = Date.parse(facts.start_utc) / 1000;
    this.parts = facts.clock;
    this.dated = facts.start_known;
    this.durationS = facts.duration_s;
  }

  /** Return the date of a time: "24 Oct"; where none is known, which day it is. */
  day(s, form = { day: "numeric", month: "short" }) {
    if (!this.dated) return t("night.day", { number: 1 + Math.floor((s + 0.5) / DAY_S) });
    return new Date(1000 * (this.local(s) + 0.5)).toLocaleDateString("en-GB", { ...form, timeZone: "UTC" });
  }

  /** Return a time, with its date where the night is longer than a day. */
  named(s) {
    return this.durationS > LONG_S ? `${this.day(s)}, ${this.time(s)}` : this.time(s);
  }

  /** Return how far local time is before UTC. */
  offset(s) {
    let offset = this.parts[0].offset_s;
    for (const part of this.parts) if (s >= part.from_s - 1e-6) offset = part.offset_s;
    return offset;
  }

  /** Return local seconds since 1970. */
  local(s) {
    return this.startS + s + this.offset(s);
  }

  /** Return the local time as text, with so many digits of a second; none: hours and minutes of the nearest second. */
  time(s, digits, offset = this.offset(s)) {
    const factor = 10 ** (digits ?? 0);
    const local = this.startS + s + offset;
    const whole = digits === undefined ? Math.floor((local + 0.5) / 60) * 60 : Math.round(local * factor) / factor;
    const day = ((whole % DAY_S) + DAY_S) % DAY_S;
    const text = `${two(Math.floor(day / 3600))}:${two(Math.floor(day / 60) % 60)}`;
    if (digits === undefined) return text;
    const seconds = (day % 60).toFixed(digits);
    return `${text}:${digits ? seconds.padStart(3 + digits, "0") : two(seconds)}`;
  }

  /** Return marks at round local times, at most about `most`; an hour that comes twice is marked twice. */
  ticks(fromS, toS, most = 12) {
    const step = STEPS_S.find((one) => (toS - fromS) / one <= most) ?? DAY_S;
    const digits = step >= 60 ? undefined : step >= 1 ? 0 : step >= 0.1 ? 1 : 2;
    const marks = [];
    let s = fromS;
    for (let guard = 0; s <= toS && guard < 400; guard++) {
      const over = ((this.local(s) % step) + step) % step;
      if (over < 1e-6 || step - over < 1e-6) {
        const label = this.time(s + 1e-6, digits);
        marks.push({ s, label: label === "00:00" && this.durationS > LONG_S ? this.day(s) : label });
        s += step;
      } else s += step - over;
    }
    return marks;
  }

  /** Return when the clocks were put forward (positive) or back within the night, and what they showed just then. */
  changes() {
    return this.parts.slice(1).map((part, k) => {
      const before = this.parts[k].offset_s;
      return { s: part.from_s, byS: part.offset_s - before, time: this.time(part.from_s, undefined, before) };
    });
  }

  /**
   * Return all moments of the night with a local time such as 3:12, 03:12:05 or 03:12:05.5; null: no time.
   *
   * The page itself rounds the night's ends: what misses them by less than it was written down to means the end.
   * `asEnd`: where something ends. The night's last minute then means all of it.
   */
  find(text, asEnd = false) {
    const match = /^\s*(\d{1,2})[:.h](\d{2})(?:[:.](\d{2}(?:[.,]\d+)?))?\s*$/.exec(text);
    if (!match) return null;
    const [hour, minute, second] = [match[1], match[2], (match[3] ?? "0").replace(",", ".")].map(Number);
    if (hour > 23 || minute > 59 || second >= 60) return null;
    const wanted = hour * 3600 + minute * 60 + second;
    const unitS = match[3] === undefined ? 60 : 10 ** -(match[3].length > 2 ? match[3].length - 3 : 0);
    const within = (s) => {
      const ending = s + unitS > this.durationS;
      return ending && (s > this.durationS || (asEnd && unitS === 60)) ? this.durationS : Math.max(s, 0);
    };
    return this.parts.flatMap((part, k) => {
      const fromS = k ? part.from_s : -unitS + 1e-6;
      const untilS = Math.min(this.parts[k + 1]?.from_s ?? Infinity, this.durationS + unitS);
      const midnight = Math.floor((this.startS + part.from_s + part.offset_s) / DAY_S) * DAY_S;
      const found = [];
      for (let day = midnight; ; day += DAY_S) {
        const s = day + wanted - this.startS - part.offset_s;
        if (s >= untilS) return found;
        if (s >= fromS) found.push(within(s));
      }
    });
  }
}
