// The piles: one is shown large, all are in a list; a verdict is about the whole pile.
import { get } from "./api.js";
import { pileFacts, pileName, pileVerdict } from "./correct_words.js";
import { number } from "./night_words.js";
import { make } from "./page.js";
import { t } from "./texts.js";
import { overlaid, Picture } from "./waves.js";

const SMALL = 12; // waves on a small picture

export class Piles {
  constructor(desk) {
    this.desk = desk;
    this.list = [];
    this.at = 0;
    this.waves = new Map();
    this.picture = new Picture(document.getElementById("pile-waves"));
    this.seen = new IntersectionObserver((entries) => entries.filter((one) => one.isIntersecting).forEach((one) => this.fill(one.target)), { rootMargin: "200px" });
    document.getElementById("pile-one").addEventListener("click", () => this.oneByOne());
  }

  get pile() {
    return this.list[this.at];
  }

  async load() {
    this.run = null;
    await this.refresh();
    const list = document.getElementById("pile-list");
    list.replaceChildren(...this.list.map((_, k) => this.item(k)));
    const open = this.list.findIndex((one) => pileVerdict(one) === "open");
    this.at = Math.max(open, 0);
    await this.showOne();
    performance.mark("pile-painted"); // read by benchmarks/review_browser.py
    for (const canvas of list.querySelectorAll("canvas")) this.seen.observe(canvas); // the small ones wait for the large one
  }

  /** Look-alikes are numbered at each site, in their order. */
  number({ id, site }) {
    return 1 + this.list.filter((one) => one.site === site && one.unit === null).findIndex((one) => one.id === id);
  }

  /** Ask how the piles are labelled now. */
  async refresh() {
    const { run, piles } = await get(this.desk.path("piles"), { show: true });
    if (this.run && run !== this.run) return void this.desk.look(); // these are other piles than those that are shown
    Object.assign(this, { run, list: piles });
    this.mark();
    if (this.desk.mode === "piles") this.facts();
  }

  item(k) {
    const pile = this.list[k];
    return make(
      "li",
      {},
      make(
        "button",
        { type: "button", class: "pile", "data-pile": pile.id, onclick: () => this.choose(k) },
        make("canvas", { "aria-hidden": "true" }),
        make("span", { class: "name" }, pileName(this.desk, pile)),
        make("span", { class: "quiet verdict-said" }),
      ),
    );
  }

  /** Write beside each pile what was said of it. */
  mark() {
    const buttons = [...document.getElementById("pile-list").querySelectorAll("button")];
    this.list.forEach((pile, k) => {
      const button = buttons[k];
      if (!button) return;
      const verdict = pileVerdict(pile);
      button.dataset.verdict = verdict;
      button.setAttribute("aria-pressed", String(k === this.at));
      button.tabIndex = k === this.at ? 0 : -1; // one stop: fifty would stand between a switch and the verdicts
      button.querySelector(".verdict-said").textContent = t(`correct.verdict_${verdict}`, { n: number(pile.count), judged: number(pile.twitch + pile.not_twitch) });
    });
    const open = this.list.filter((one) => pileVerdict(one) === "open").length;
    document.getElementById("piles-title").textContent = this.list.length ? t("correct.piles_open", { n: this.list.length, open }) : t("correct.no_piles");
  }

  async fill(canvas) {
    this.seen.unobserve(canvas);
    const { pile } = canvas.closest("button").dataset;
    const waves = await this.wavesOf(pile, SMALL).catch(() => null);
    if (waves?.waves.length) new Picture(canvas).show(overlaid(waves, true), "");
    canvas.setAttribute("aria-hidden", "true");
  }

  wavesOf(pile, count) {
    const key = `${pile} ${count}`;
    if (!this.waves.has(key)) {
      const waves = get(this.desk.path(`piles/${encodeURIComponent(pile)}/waves`), { count, run: this.run, show: true });
      waves.catch(() => this.waves.delete(key)); // the next time may go well
      this.waves.set(key, waves);
    }
    return this.waves.get(key);
  }

  choose(k) {
    this.at = k;
    const list = document.getElementById("pile-list");
    if (list.contains(document.activeElement)) list.querySelectorAll("button")[k].focus();
    return this.showOne();
  }

  go(by) {
    if (this.list.length) return this.choose((this.at + by + this.list.length) % this.list.length);
  }

  shown() {
    this.picture.again();
  }

  facts() {
    const one = this.pile;
    document.getElementById("pile-title").textContent = one ? pileName(this.desk, one) : t("correct.no_piles");
    document.getElementById("pile-facts").textContent = one ? pileFacts(this.desk, one) : t("correct.no_piles_why");
    const said = one ? t(`correct.pile_said_${pileVerdict(one)}`, { n: one.count, judged: one.twitch + one.not_twitch }) : "";
    document.getElementById("pile-facts").append(" ", make("strong", {}, said));
  }

  async showOne() {
    this.facts();
    this.mark();
    const one = this.pile;
    if (!one) return this.picture.clear();
    const list = document.getElementById("pile-list");
    const item = list.children[this.at];
    if (item) list.scrollTo({ top: item.offsetTop - list.offsetTop - 60, left: item.offsetLeft - list.offsetLeft - 60 });
    try {
      const waves = await this.wavesOf(one.id, 40);
      if (one.id !== this.pile.id) return;
      if (!waves.mean_mg.length) throw new Error(t("night.no_signal"));
      this.picture.show(overlaid(waves), t("correct.pile_picture", { shown: waves.waves.length, n: one.count, mg: number(one.median_mg, 1) }));
    } catch (error) {
      this.picture.clear(error.message);
      this.desk.failed(error);
    }
  }

  /** Say what the whole pile is, and go on to the next that nothing was said of. */
  async judge(what) {
    const one = this.pile;
    if (!one) return;
    if (!(await this.desk.tell({ what, pile: one.id, run: this.run }))) return;
    if (what === "no_verdict" || !document.getElementById("move-on").checked) return;
    const order = [...this.list.keys()].map((k) => (this.at + 1 + k) % this.list.length);
    const next = order.find((k) => pileVerdict(this.list[k]) === "open");
    if (next !== undefined) await this.choose(next);
  }

  /** Show members of the pile one at a time. */
  async oneByOne() {
    const one = this.pile;
    if (!one) return;
    const path = this.desk.path(`piles/${encodeURIComponent(one.id)}/events`);
    const { run } = this;
    const page = async (after, most) => (await get(path, { after, most, run, show: true })).events;
    this.desk.events.take(Array(one.count), pileName(this.desk, one), page);
    await this.desk.show("events");
  }
}
