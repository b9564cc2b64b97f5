// A strip for each site: bars of the rate in time bins, beneath them what time was valid, all on one time axis.
import { make } from "./page.js";
import { t } from "./texts.js";
import { limitWords, number, rateWords, validWords } from "./night_words.js";

export const GUTTER = 44; // left of the bars, for the scale
const TRACK = 6;
const OPEN = 150;
const closed = (sites) => (sites <= 4 ? 76 : sites <= 6 ? 60 : 48);
const THUMB = 28; // of the slider, see night.css
const CUT = 4; // a bar that goes on above its strip has a cut so far below its end
const HATCH = { not_observed: "lines", not_worn: "dots" };

export class Strips {
  /** `chooseSite(site)` and `chooseBin(k)` are called on a click. */
  constructor(box, sites, clock, chooseSite, chooseBin) {
    Object.assign(this, { box, sites, clock, chooseBin });
    this.strips = new Map();
    sites.forEach((one, index) => {
      const plot = make("svg", { class: "plot", "aria-hidden": "true" });
      const rate = make("p", { class: "strip-rate" });
      const more = make("p", { class: "strip-more quiet" });
      const title = make(
        "button",
        { type: "button", class: "strip-title", "aria-expanded": "false", onclick: () => chooseSite(one.site) },
        make("span", { class: "strip-number" }, String(index + 1)),
        one.label,
      );
      const strip = make("section", { class: "strip", "data-strip": one.site }, make("h3", {}, title), rate, more, plot);
      plot.addEventListener("click", (event) => this.click(event, plot));
      this.strips.set(one.site, { strip, title, rate, more, plot });
      box.append(strip);
    });
    new ResizeObserver(() => this.map && this.draw()).observe(box);
  }

  click(event, plot) {
    const at = (event.clientX - plot.getBoundingClientRect().left - GUTTER) / (this.width - GUTTER);
    if (at >= 0) this.chooseBin(this.binAt(at * this.clock.durationS));
  }

  /** Return the bin of a time. */
  binAt(s) {
    const { start_s: starts, bin_s: binS } = this.map;
    return Math.min(Math.max(Math.floor((s - starts[0]) / binS), 0), starts.length - 1);
  }

  /** Show a map, its coverage by site (null: not known yet), a bin (null: the whole night), and a site. */
  show(map, coverage, k, chosen, marks) {
    Object.assign(this, { map, coverage, k, chosen, marks });
    const ofS = k === null ? map.duration_s : this.binLength(k);
    for (const { site } of this.sites) {
      const { strip, title, rate, more } = this.strips.get(site);
      const counts = k === null ? map.bySite[site].night : map.bySite[site].bins;
      rate.textContent = rateWords(counts, k ?? 0);
      rate.classList.toggle("quiet", !(counts.valid_s[k ?? 0] > 0));
      more.textContent = `${validWords(counts, k ?? 0, ofS)} · ${limitWords(counts, k ?? 0)}`;
      strip.classList.toggle("open", site === chosen);
      title.setAttribute("aria-expanded", String(site === chosen));
    }
    this.draw();
  }

  /** Return how much of a bin lies in the night. */
  binLength(k) {
    const { start_s: starts, bin_s: binS, duration_s: durationS } = this.map;
    return Math.min(starts[k] + binS, durationS) - Math.max(starts[k], 0);
  }

  x(s) {
    return GUTTER + ((this.width - GUTTER) * s) / this.clock.durationS;
  }

  draw() {
    this.width = Math.max(this.box.clientWidth, 200);
    for (const { site } of this.sites) this.drawStrip(site);
    this.drawAxis();
  }

  drawStrip(site) {
    const { plot } = this.strips.get(site);
    const { bins, top } = this.map.bySite[site];
    const open = site === this.chosen;
    const height = open ? OPEN : closed(this.sites.length);
    const base = height - TRACK - 3;
    const parts = [];
    for (const tick of this.ticks()) parts.push(line(this.x(tick.s), 4, this.x(tick.s), base, "grid"));
    if (this.k !== null) {
      const [x0, x1] = this.span(this.k);
      parts.push(make("rect", { x: x0, y: 0, width: x1 - x0, height, class: "chosen-bin" }));
    }
    const levels = open ? [0, top / 2, top] : [0, top];
    for (const value of levels) {
      const y = base - (value / top) * (base - 8);
      parts.push(label(GUTTER - 8, y + 4, number(value, value % 1 ? 1 : 0), "scale"));
      if (open && value) parts.push(line(GUTTER, y, this.width, y, "grid"));
    }
    for (let k = 0; k < this.map.start_s.length; k++) parts.push(...this.bin(bins, k, base, top, open));
    parts.push(line(GUTTER, base, this.width, base, "base"));
    for (const change of this.clock.changes()) parts.push(line(this.x(change.s), 0, this.x(change.s), height, "change"));
    parts.push(...this.track(site, base + 3));
    for (const mark of this.marks) parts.push(make("path", { d: `M${this.x(mark.at_s)} 1l4 7h-8z`, class: "felt" }));
    plot.setAttribute("width", this.width);
    plot.setAttribute("height", height);
    plot.replaceChildren(...parts);
  }

  span(k) {
    const from = Math.max(this.map.start_s[k], 0);
    return [this.x(from), this.x(from + this.binLength(k))];
  }

  /** Tell whether a bar goes on above its strip, which one of little valid time may. */
  get cuts() {
    return this.map.sites.some(({ bins, top }) => bins.rate_per_h.some((rate) => rate > top));
  }

  bin(bins, k, base, top, open) {
    const [x0, x1] = this.span(k);
    const hatch = HATCH[bins.state[k]];
    const edge = Math.min(0.75, (x1 - x0) * 0.1);
    const box = { x: x0 + edge, width: Math.max(x1 - x0 - 2 * edge, 0.5) };
    if (hatch) return [make("rect", { ...box, y: 8, height: base - 8, fill: `url(#hatch-${hatch})` })];
    const perRate = (base - 8) / top;
    const tall = Math.min(bins.rate_per_h[k], top) * perRate;
    const kind = bins.little[k] ? "bar little" : bins.state[k] === "wear_unconfirmed" ? "bar unconfirmed" : "bar";
    const parts = [];
    // Most of a bin of little valid time was not observed: no bar in it is not none.
    if (bins.little[k]) parts.push(make("rect", { ...box, y: 8, height: base - 8, fill: "url(#hatch-lines)", class: "mostly" }));
    if (tall > 0) parts.push(make("rect", { ...box, y: base - tall, height: tall, class: kind }));
    if (bins.rate_per_h[k] > top) parts.push(line(x0, 8 + 2 * CUT, x1, 8 + CUT, "cut"));
    if (open) {
      const middle = (x0 + x1) / 2;
      const [low, high] = [bins.rate_low[k], bins.rate_high[k]].map((rate) => Math.max(base - rate * perRate, 2));
      parts.push(line(middle, low, middle, high, "interval"));
    }
    return parts;
  }

  /** Draw what the time was good for, to the pixel: what most of each pixel's time was. */
  track(site, y) {
    const rows = this.coverage?.[site];
    if (!rows) return [];
    const n = Math.round(this.width - GUTTER);
    const perPixel = n / this.clock.durationS;
    const kinds = ["valid", "unconfirmed", "not_worn", "other"];
    const time = kinds.map(() => new Float64Array(n));
    rows.forEach(([from, to, kind, unconfirmed]) => {
      const which = kind === "valid" ? (unconfirmed ? 1 : 0) : kind === "not_worn" ? 2 : 3;
      const [a, b] = [from * perPixel, to * perPixel];
      for (let x = Math.floor(a); x < Math.min(b, n); x++) time[which][x] += Math.min(b, x + 1) - Math.max(a, x);
    });
    const most = (x) => time.reduce((best, _, which) => (time[which][x] > time[best][x] ? which : best), 0);
    const paths = kinds.map(() => "");
    for (let a = 0; a < n; ) {
      const which = most(a);
      let b = a + 1;
      while (b < n && most(b) === which) b++;
      paths[which] += `M${GUTTER + a} ${y}h${b - a}v${TRACK}h${a - b}z`;
      a = b;
    }
    return kinds.map((kind, which) => make("path", { d: paths[which], class: `track ${kind}` }));
  }

  ticks() {
    return this.clock.ticks(0, this.clock.durationS, Math.max(Math.floor((this.width - GUTTER) / 64), 2));
  }

  drawAxis() {
    const axis = document.getElementById("strips-axis");
    axis.setAttribute("width", this.width);
    axis.setAttribute("height", 20);
    const changes = this.clock.changes();
    const clear = (tick) => changes.every((change) => Math.abs(this.x(change.s) - this.x(tick.s)) > 1);
    axis.replaceChildren(
      ...this.ticks().map((tick) => label(Math.min(this.x(tick.s), this.width - 16), 14, tick.label, clear(tick) ? "tick" : "tick change")),
    );
    this.placeSlider(document.getElementById("time"));
  }

  /** Have the thumb stand below the middle of what a bin has of the night, and all of it within the plot. */
  placeSlider(slider) {
    const middle = (k) => this.span(k).reduce((sum, x) => sum + x) / 2;
    const first = Math.min(Math.max(middle(0), GUTTER), this.width - THUMB / 2);
    const last = Math.min(Math.max(middle(this.map.start_s.length - 1), first), this.width - THUMB / 2);
    slider.style.marginLeft = `${first - THUMB / 2}px`;
    slider.style.width = `${last - first + THUMB}px`;
  }
}

const line = (x1, y1, x2, y2, kind) => make("line", { x1, y1, x2, y2, class: kind });
const label = (x, y, text, kind) => make("text", { x, y, class: kind }, text);

/** Return in words when the clocks are changed in the night. */
export function changeWords(clock) {
  return clock
    .changes()
    .map(({ time, byS }) => t(byS > 0 ? "night.clocks_forward" : "night.clocks_back", { time, min: Math.abs(byS) / 60 }))
    .join(" ");
}
