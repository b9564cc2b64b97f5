// How events, piles and what was said of them read.
import { number, unitNumber } from "./night_words.js";
import { t } from "./texts.js";

/** Return what a label says: "27 events at the left calf are no twitches". */
export function actionWords(desk, { what, drawn, sites, events, start_s: startS, end_s: endS }) {
  const where = sites.length === desk.facts.sites.length && sites.length > 1 ? t("correct.everywhere") : sites.map((one) => desk.label[one] ?? one).join(", ");
  if (startS !== null) return t(`correct.said_${what}`, { site: where, from: desk.clock.time(startS, 0), to: desk.clock.time(endS, 0) });
  const key = what === "added" ? "correct.said_added" : `correct.said_${what}`;
  const how = drawn === "spot_check" ? ` ${t("correct.by_spot_check")}` : "";
  return t(key, { n: events, site: where }) + how;
}

/** Return the name of a pile. */
export function pileName(desk, pile) {
  const site = desk.label[pile.site] ?? pile.site;
  if (pile.unit !== null) return t("correct.pile_unit", { number: unitNumber(pile.unit), site });
  return t("correct.pile_like", { number: desk.piles.number(pile), site });
}

/** Return what is known of a pile, in two or three sentences. */
export function pileFacts(desk, pile) {
  if (pile.count === 1) {
    const about = t("correct.pile_of_one", { mg: number(pile.median_mg, 1), hz: number(pile.median_hz, 0), at: desk.clock.time(pile.first_s) });
    return [about, t(pile.counted ? "correct.event_counts" : "correct.event_not_counted")].join(" ");
  }
  const counted = t("correct.pile_counted", { n: number(pile.count), counted: number(pile.counted) });
  const size = t("correct.pile_size", { mg: number(pile.median_mg, 1), hz: number(pile.median_hz, 0), from: desk.clock.time(pile.first_s), to: desk.clock.time(pile.last_s) });
  const doubt = t("correct.pile_doubt", { share: number((100 * pile.weight) / pile.count, 0) });
  return [counted, size, doubt].join(" ");
}

/** Return what was said of a pile: yes, no, some or open. */
export function pileVerdict({ count, twitch, not_twitch: none }) {
  if (twitch === count) return "yes";
  if (none === count) return "no";
  return twitch || none ? "some" : "open";
}

/** Return what is known of an event. */
export function eventFacts(desk, event) {
  const parts = [];
  if (event.peak_to_peak_mg > 0) parts.push(t("correct.event_size", { mg: number(event.peak_to_peak_mg, 1), ms: number(event.duration_ms, 0) }));
  if (event.probability !== null && event.probability >= 0) parts.push(t("correct.event_probability", { share: number(100 * event.probability, 0) }));
  parts.push(t(event.counted ? "correct.event_counts" : "correct.event_not_counted"));
  return parts.join(" ");
}
