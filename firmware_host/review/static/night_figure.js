// The body: worn sites coloured by rate, the others visibly not measured.
import { make } from "./page.js";
import { t } from "./texts.js";
import { limitWords, number, rateWords, validWords } from "./night_words.js";

const COLOURS = 8;
const HATCH = { not_observed: "lines", not_worn: "dots" };

/** Return where a rate lies on a scale, 0 to 1. */
export function share(scale, rate) {
  const part = Math.min(Math.max(rate / scale.top, 0), 1);
  return scale.root ? Math.sqrt(part) : part;
}

/** Return the colour at a share of the scale, mixed of the two that the page's colours name beside it. */
export function colour(part) {
  const at = Math.min(Math.max(part, 0), 1) * (COLOURS - 1);
  const low = Math.min(Math.floor(at), COLOURS - 2);
  return `color-mix(in oklab, var(--rate-${low + 1}) ${((at - low) * 100).toFixed(1)}%, var(--rate-${low}))`;
}

export class Figure {
  /** `sites` are the night's; `choose(site)` is called when one is chosen on the body. */
  constructor(svg, sites, choose) {
    this.sites = sites;
    this.regions = new Map([...svg.querySelectorAll("[data-base]")].map((one) => [one.dataset.base, one]));
    this.over = new Map([...svg.querySelectorAll("[data-over]")].map((one) => [one.dataset.over, one]));
    this.spots = new Map([...svg.querySelectorAll("[data-spot]")].map((one) => [one.dataset.spot, one]));
    for (const { site, base } of sites) {
      this.regions.get(base).addEventListener("click", () => choose(this.nextAt(base)));
      const spot = this.spots.get(site);
      spot.addEventListener("click", () => choose(site));
      spot.addEventListener("keydown", (event) => {
        if (event.key !== "Enter" && event.key !== " ") return;
        event.preventDefault();
        choose(site);
      });
    }
  }

  /** Several sensors at a place are chosen in turn. */
  nextAt(base) {
    const here = this.sites.filter((one) => one.base === base).map((one) => one.site);
    return here[(here.indexOf(this.chosen) + 1) % here.length];
  }

  /** Colour the body by the counts of the whole night (k null) or of bin k. */
  paint(map, k, chosen, ofS) {
    this.chosen = chosen;
    const scale = k === null ? map.night_scale : map.bin_scale;
    const at = k ?? 0;
    for (const base of new Set(this.sites.map((one) => one.base))) {
      const here = this.sites.filter((one) => one.base === base);
      const counts = here.map(({ site }) => (k === null ? map.bySite[site].night : map.bySite[site].bins));
      this.paintRegion(base, counts, at, scale);
      const words = here.map(({ site, label }, i) => siteWords(label, counts[i], at, map.bySite[site].durationS ?? ofS));
      this.regions.get(base).querySelector("title").textContent = words.join("; ");
      here.forEach(({ site }, i) => {
        const spot = this.spots.get(site);
        spot.setAttribute("aria-pressed", String(site === chosen));
        spot.setAttribute("aria-label", words[i]);
        spot.querySelector("title").textContent = words[i];
      });
      this.regions.get(base).classList.toggle("chosen", here.some(({ site }) => site === chosen));
    }
  }

  paintRegion(base, counts, k, scale) {
    const [region, over] = [this.regions.get(base), this.over.get(base)];
    const seen = counts.filter((one) => one.valid_s[k] > 0);
    const state = counts[0].state[k];
    region.classList.add("worn");
    region.classList.toggle("unseen-site", !seen.length);
    region.classList.toggle("unconfirmed", seen.length > 0 && seen.every((one) => one.state[k] === "wear_unconfirmed"));
    const little = seen.length > 0 && seen.every((one) => one.little[k]);
    region.classList.toggle("little", little);
    const validS = seen.reduce((sum, one) => sum + one.valid_s[k], 0);
    const rate = seen.reduce((sum, one) => sum + one.rate_per_h[k] * one.valid_s[k], 0) / validS;
    region.style.fill = seen.length ? colour(share(scale, rate)) : "";
    over.style.fill = little ? "url(#hatch-little)" : seen.length ? "none" : `url(#hatch-${HATCH[state] ?? "lines"})`;
  }
}

/** Return one sentence on a site. */
export function siteWords(label, counts, k, ofS) {
  return `${label}: ${rateWords(counts, k)}; ${validWords(counts, k, ofS)}; ${limitWords(counts, k)}`;
}

/** Return how many digits show a tick as it is, at most two: 0.25 is not 0.3. */
const exactDigits = (value) => [0, 1].find((digits) => Math.abs(value - Number(value.toFixed(digits))) < 1e-9) ?? 2;

/** Write the scale under the ramp, and which patterns this night shows. */
export function writeLegend(map, k, states) {
  const scale = k === null ? map.night_scale : map.bin_scale;
  const ticks = document.getElementById("ramp-ticks");
  ticks.replaceChildren(
    ...scale.ticks.map((value) => {
      const mark = make("span", {}, number(value, exactDigits(value)));
      mark.style.left = `${100 * share(scale, value)}%`;
      return mark;
    }),
  );
  const title = t(scale.root ? "night.legend_root" : "night.legend");
  document.getElementById("legend-title").textContent = title;
  const keys = ["not_measured", "not_observed", "not_worn", "wear_unconfirmed", "little"].filter(
    (key) => key === "not_measured" || key === "not_observed" || states.has(key),
  );
  document
    .getElementById("pattern-keys")
    .replaceChildren(...keys.map((key) => make("li", {}, sample(key), t(`night.key_${key}`))));
}

function sample(key) {
  const hatch = { not_observed: "lines", not_worn: "dots", little: "little" }[key];
  const box = { x: 1, y: 1, width: 22, height: 14, rx: 3 };
  return make(
    "svg",
    { width: 24, height: 16, viewBox: "0 0 24 16", class: `key ${key}`, "aria-hidden": "true" },
    make("rect", box),
    hatch ? make("rect", { ...box, class: "pattern", fill: `url(#hatch-${hatch})` }) : null,
  );
}
