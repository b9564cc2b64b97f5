// A stretch of time, and twitches that were missed: told by local times, without a pointer.
import { get } from "./api.js";
import { make } from "./page.js";
import { t } from "./texts.js";
import { around, Picture } from "./waves.js";

const NS = "http://www.w3.org/2000/svg";
const BIN_S = 300;

export class Stretch {
  constructor(desk) {
    this.desk = desk;
    this.addS = null;
    this.picture = new Picture(document.getElementById("add-wave"));
    const { clock, facts } = desk;
    const options = () => facts.sites.map(({ site, label }) => make("option", { value: site }, label));
    document.getElementById("range-site").append(make("option", { value: "" }, t("correct.everywhere")), ...options());
    document.getElementById("add-site").append(...options());
    document.getElementById("range-night").textContent = t("correct.range_night", { from: clock.time(0), to: clock.time(facts.duration_s) });
    const range = document.getElementById("range");
    range.addEventListener("submit", (event) => event.preventDefault());
    range.addEventListener("input", () => this.strip());
    for (const button of range.querySelectorAll("[data-what]")) button.addEventListener("click", () => this.tell(button.dataset.what));
    const adding = document.getElementById("adding");
    adding.addEventListener("submit", (event) => {
      event.preventDefault();
      this.look();
    });
    for (const button of adding.querySelectorAll("[data-by]")) button.addEventListener("click", () => this.shift(Number(button.dataset.by)));
    document.getElementById("add").addEventListener("click", () => this.add());
  }

  async refresh() {
    this.map = await get(this.desk.path("map"), { bin_s: BIN_S, show: true });
    this.strip();
  }

  /** Return the moment that a field names, in seconds from the night's start; null if it names none. */
  moment(id) {
    const found = this.desk.clock.find(document.getElementById(id).value);
    return found?.length ? found[0] : null;
  }

  /** Return where the stretch begins and ends. Of a time that comes twice the end is the first after the beginning. */
  ends() {
    const from = this.moment("range-from");
    const found = this.desk.clock.find(document.getElementById("range-to").value, true) ?? [];
    return [from, found.find((s) => from !== null && s > from) ?? found[0] ?? null];
  }

  /** Draw the counts of the night, and the stretch that is meant. */
  strip() {
    const svg = document.getElementById("range-strip");
    const site = document.getElementById("range-site").value;
    const { duration_s: durationS } = this.desk.facts;
    if (!this.map) return;
    const parts = this.map.sites.filter((one) => !site || one.site === site);
    const sums = this.map.start_s.map((_, k) => parts.reduce((sum, one) => sum + one.bins.twitches[k], 0));
    const top = Math.max(...sums, 1);
    svg.setAttribute("viewBox", `0 0 ${durationS} 100`);
    svg.setAttribute("preserveAspectRatio", "none");
    const rect = (x, y, width, height, name) => {
      const one = document.createElementNS(NS, "rect");
      for (const [key, value] of Object.entries({ x, y, width, height, class: name })) one.setAttribute(key, value);
      return one;
    };
    const bars = sums.map((n, k) => rect(Math.max(this.map.start_s[k], 0), 100 - (96 * n) / top, BIN_S * 0.9, (96 * n) / top, "bar"));
    const [from, to] = this.ends();
    const meant = from !== null && to !== null && to > from ? [rect(from, 0, to - from, 100, "meant")] : [];
    svg.replaceChildren(...meant, ...bars);
  }

  async tell(what) {
    const said = document.getElementById("range-said");
    const [from, to] = this.ends();
    if (from === null || to === null) {
      said.textContent = t("correct.range_times");
      return;
    }
    if (to <= from) {
      said.textContent = t("correct.range_order");
      return;
    }
    const site = document.getElementById("range-site").value || null;
    const run = ["exclude", "include"].includes(what) ? null : this.desk.state.run; // what counts there differs by run
    const kept = await this.desk.tell({ what, site, start_s: from, end_s: to, run });
    said.textContent = document.getElementById(kept ? "said-last" : "state").textContent;
  }

  look() {
    const said = document.getElementById("add-said");
    this.addS = this.moment("add-time");
    said.textContent = this.addS === null ? t("correct.add_time") : "";
    return this.draw();
  }

  shift(byS) {
    this.addS = Math.min(Math.max(this.addS + byS, 0), this.desk.facts.duration_s);
    document.getElementById("add-time").value = this.desk.clock.time(this.addS, 2);
    return this.draw();
  }

  async draw() {
    const there = this.addS !== null;
    for (const id of ["add-wave", "add-steps"]) document.getElementById(id).hidden = !there;
    if (!there) return;
    const site = document.getElementById("add-site").value;
    const wave = await get(this.desk.path("wave"), { site, peak_s: this.addS, before_s: 1, after_s: 1.5 });
    this.picture.show(around(wave), t("correct.add_picture", { time: this.desk.clock.time(this.addS, 2) }));
  }

  async add() {
    const site = document.getElementById("add-site").value;
    const kept = await this.desk.tell({ what: "added", site, peaks_s: [this.addS] });
    document.getElementById("add-said").textContent = document.getElementById(kept ? "said-last" : "state").textContent;
  }
}
