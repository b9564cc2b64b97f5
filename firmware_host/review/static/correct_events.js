// Single events, one at a time: the most doubtful ones first, or the members of a pile.
import { get } from "./api.js";
import { eventFacts } from "./correct_words.js";
import { number } from "./night_words.js";
import { make } from "./page.js";
import { t } from "./texts.js";
import { around, Picture, thatIsThere } from "./waves.js";

const PAGE = 50; // events of a pile that are asked for at once
const SPANS_S = [0.4, 1, 2.5, 8]; // before the event; after it is half as long again

export class Events {
  constructor(desk) {
    this.desk = desk;
    this.queue = [];
    this.at = 0;
    this.of = null;
    this.span = 1;
    this.elsewhere = false;
    this.picture = new Picture(document.getElementById("event-wave"));
    const on = (id, action) => document.getElementById(id).addEventListener("click", action);
    on("narrower", () => this.zoom(-1));
    on("wider", () => this.zoom(1));
    on("elsewhere", () => this.toggleElsewhere());
    on("most-doubtful", () => this.doubtful());
  }

  get event() {
    return this.queue[this.at];
  }

  /** Show these events; `of` is the name of the pile that they are from, `page` asks for those that are not there yet. */
  take(events, of, page = null) {
    this.queue = events;
    this.of = of;
    this.page = page;
    this.at = 0;
  }

  /** Have the chosen event of a pile, with those around it. */
  async fetch() {
    if (this.event || !this.page) return;
    const { queue, page, at } = this;
    const after = at - (at % PAGE);
    (await page(after, PAGE)).forEach((event, k) => (queue[after + k] = event));
  }

  async start() {
    if (this.queue.length) await this.showOne();
    else await this.doubtful();
  }

  /** Ask for the events that are most in doubt now. */
  async doubtful() {
    const { events } = await get(this.desk.path("doubtful"), { count: 20, show: true });
    this.take(events, null);
    await this.showOne();
  }

  /** Ask what is said of the event now: it may have been taken back. */
  async refresh() {
    const one = this.event;
    if (this.page) {
      this.queue = Array(this.queue.length);
      await this.fetch();
    } else if (one) {
      const around = { site: one.site, from_s: one.peak_s - 1e-4, to_s: one.peak_s + 1e-4 };
      const { events } = await get(this.desk.path("events"), { ...around, show: true });
      one.said = events[0]?.label || "no_verdict";
    }
    this.facts();
  }

  zoom(by) {
    this.span = Math.min(Math.max(this.span + by, 0), SPANS_S.length - 1);
    return this.showOne();
  }

  toggleElsewhere() {
    this.elsewhere = !this.elsewhere;
    document.getElementById("elsewhere").setAttribute("aria-pressed", String(this.elsewhere));
    return this.showOne();
  }

  async go(by) {
    if (this.of === null && this.at + by >= this.queue.length) return this.doubtful();
    if (!this.queue.length) return;
    this.at = (this.at + by + this.queue.length) % this.queue.length;
    await this.showOne();
  }

  async judge(what) {
    const one = this.event;
    if (!one) return;
    const kept = await this.desk.tell({ what, site: one.site, peaks_s: [one.peak_s], drawn: this.of === null ? "doubtful" : "event" });
    if (!kept) return;
    if (what !== "no_verdict") await this.go(1);
    else this.facts();
  }

  facts() {
    const { desk, event } = this;
    const title = document.getElementById("event-title");
    if (!event) {
      title.textContent = t("correct.no_doubtful");
      document.getElementById("event-facts").textContent = t("correct.no_doubtful_why");
      return;
    }
    const values = { site: desk.label[event.site] ?? event.site, time: desk.clock.time(event.peak_s, 1) };
    title.textContent = t("correct.event_at", values);
    const of = this.of === null ? t("correct.event_doubtful") : t("correct.event_of", { number: this.at + 1, n: this.queue.length, pile: this.of });
    const said = event.said ?? ["", "twitch", "not_twitch"][event.label ?? 0];
    const words = [of, eventFacts(desk, event)];
    document.getElementById("event-facts").replaceChildren(words.join(" "), " ", make("strong", {}, said && said !== "no_verdict" ? t(`correct.event_said_${said}`) : ""));
    const link = document.getElementById("event-signal");
    link.href = `/night/${encodeURIComponent(desk.night)}?${new URLSearchParams({ site: event.site, t0: (event.peak_s - 5).toFixed(2), t1: (event.peak_s + 5).toFixed(2) })}#signal`;
  }

  async showOne() {
    document.getElementById("others").replaceChildren();
    await this.fetch().catch((error) => this.desk.failed(error));
    this.facts();
    const one = this.event;
    if (!one) return this.picture.clear();
    const [before, after] = [SPANS_S[this.span], Math.min(SPANS_S[this.span] * 1.25, 10)];
    const query = { peak_s: one.peak_s, before_s: before, after_s: after };
    try {
      const wave = await get(this.desk.path("wave"), { site: one.site, ...query });
      if (one !== this.event) return;
      this.picture.show(around(thatIsThere(wave)), t("correct.event_picture", { mg: number(one.peak_to_peak_mg ?? 0, 1), s: number(before + after, 1) }));
      if (this.elsewhere) await this.showElsewhere(one, query);
    } catch (error) {
      this.picture.clear(error.message);
      this.desk.problem(error.message);
    }
  }

  /** Draw the same moment at the other sites: what moves everywhere is no twitch of one muscle. */
  async showElsewhere(one, query) {
    const others = this.desk.facts.sites.filter(({ site }) => site !== one.site);
    const waves = await Promise.all(others.map(({ site }) => get(this.desk.path("wave"), { site, ...query })));
    if (one !== this.event) return;
    const list = document.getElementById("others");
    list.replaceChildren(...others.map(({ label }) => make("figure", {}, make("figcaption", {}, label), make("canvas"))));
    [...list.querySelectorAll("canvas")].forEach((canvas, k) => new Picture(canvas).show(around(waves[k], { axes: false }), others[k].label));
  }
}
