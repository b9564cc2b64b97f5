// The counts of all sites: as the detector found them, and as they are with what was said.
import { make } from "./page.js";
import { intervalParts, number, rateDigits } from "./night_words.js";
import { t } from "./texts.js";

export class Counts {
  constructor(desk, found) {
    this.desk = desk;
    this.found = Object.fromEntries(found.sites.map((one) => [one.site, one]));
    this.last = null;
  }

  /** Show the counts that hold now; returns in words what the last change did to them. */
  show({ sites }) {
    const list = document.getElementById("counts");
    list.replaceChildren(...sites.map((one) => this.card(one)));
    const corrected = sites.some((one) => one.accepted || one.rejected || one.excluded_s);
    document.getElementById("counts-note").textContent = t(corrected ? "correct.counts_note" : "correct.counts_as_found");
    const changes = sites.filter((one) => this.last && this.last[one.site].twitches !== one.twitches);
    const words = changes.map((one) =>
      t("correct.changed", { site: this.desk.label[one.site], before: number(this.last[one.site].twitches), now: number(one.twitches) }),
    );
    this.last = Object.fromEntries(sites.map((one) => [one.site, one]));
    return words.join(" ");
  }

  card(one) {
    const found = this.found[one.site];
    const changed = found && (found.twitches !== one.twitches || Math.abs(found.valid_s - one.valid_s) > 0.5);
    return make(
      "li",
      { "data-site": one.site, class: changed ? "changed" : "" },
      make("span", { class: "site" }, this.desk.label[one.site] ?? one.site),
      make("strong", { class: "count" }, one.valid_s > 0 ? number(one.twitches) : "–"),
      make("span", {}, rateWords(one)),
      make("span", { class: "quiet" }, changed ? t("correct.was", { n: number(found.twitches), rate: rateWords(found) }) : t("correct.as_found")),
    );
  }
}

function rateWords({ valid_s: validS, twitches, state, rate_per_h: rate, rate_low: low, rate_high: high }) {
  if (!(validS > 0)) return t(state === "not_worn" ? "correct.not_worn" : "correct.not_observed");
  return t(twitches === 0 ? "correct.rate_none" : "correct.rate", { rate: number(rate, rateDigits(rate, high)), ...intervalParts(rate, low, high) });
}
