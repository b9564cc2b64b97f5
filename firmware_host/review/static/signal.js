// The signal of up to four sites: zoomed from the whole night to 0.2 s, with its events.
//
// It tells others by events of the document: `event-chosen` {night, site, id, peakS, event} (null: none; at once,
// with `event` null, and again with its facts), `range-chosen` {night, site, label, fromS, toS} (null: none),
// `signal-drawn` {complete}. `labels-changed` makes it read its events again.
import { at, get } from "./api.js";
import { make, say } from "./page.js";
import { t } from "./texts.js";
import { durationWords, number, unitNumber } from "./night_words.js";
import { Painter, layout, nice } from "./signal_draw.js";
import { Events } from "./signal_events.js";
import { useHands } from "./signal_hands.js";
import { Tiles } from "./signal_tiles.js";

const SHORTEST_S = 0.2;
const MOST_SITES = 4;
const MADE_EVERY_MS = 400;
const id = (name) => document.getElementById(name);

export class Signal {
  constructor(facts, clock, query) {
    Object.assign(this, { facts, clock, events: new Map(), reading: new Map(), tops: new Map(), gains: new Map(), axes: false, candidates: false, chosen: null, rangeS: null, rangeSite: null });
    this.cover = {};
    this.marks = [];
    this.view = id("signal-view");
    this.painter = new Painter(id("canvas"));
    const named = (query.get("site") ?? "").split(",").filter((site) => facts.sites.some((one) => one.site === site));
    this.sites = named.length ? named.slice(0, MOST_SITES) : [facts.sites[0].site];
    this.fromS = 0;
    this.toS = facts.duration_s;
    const [t0, t1] = ["t0", "t1"].map((name) => Number.parseFloat(query.get(name)));
    if (t0 < t1) this.clamp(t0, t1);
    this.wanted = query.get("event");
    this.eventProblem = make("p", { id: "event-problem", role: "alert", hidden: true });
    id("event-facts").after(this.eventProblem);
    useHands(this);
    this.writeSites();
    new ResizeObserver(() => this.redraw()).observe(this.view);
    document.addEventListener("theme", () => {
      this.painter.recolour();
      this.redraw();
    });
    document.addEventListener("labels-changed", () => {
      this.reading.clear(); // what is there stays until the new is
      this.readEvents().then(() => this.chosen && this.chooseEvent(this.events.get(this.chosen.site)?.find(this.chosen.id) ?? null)).catch(this.eventFailed);
    });
    this.start();
  }

  /** Wait until the view of the whole night is made; close views work from the beginning. */
  async start() {
    const line = id("signal-state");
    for (;;) {
      let state;
      try {
        state = await get(at`/nights/${this.facts.night}/signal`);
      } catch (error) {
        line.textContent = error.message;
        line.hidden = false;
        return;
      }
      if (!this.tiles || state.ready) this.tiles = new Tiles(this.facts.night, state, (error) => this.arrived(error));
      this.band = state.band_hz;
      line.hidden = state.ready;
      this.view.dataset.state = state.ready ? "ready" : "making";
      line.textContent = state.problem || t("night.signal_making", { share: Math.round(100 * state.share) });
      this.redraw();
      if (state.ready || state.problem) break;
      await new Promise((done) => setTimeout(done, MADE_EVERY_MS));
    }
    this.readEvents().catch(this.eventFailed);
  }

  /** The night has grown: what showed its end goes on to do so. */
  lengthen(durationS) {
    const by = durationS - this.facts.duration_s;
    const [fromS, toS] = [this.fromS, this.toS];
    const followed = toS > this.facts.duration_s - 1e-6;
    this.facts.duration_s = this.clock.durationS = durationS;
    if (followed) this.clamp(fromS > 0 ? fromS + by : 0, durationS);
    return this.start();
  }

  /** Draw what has come. What could not be read is asked for again later, or when somebody moves the view. */
  arrived(error) {
    id("signal-state").hidden = !error;
    clearTimeout(this.again);
    if (!error) return this.redraw();
    id("signal-state").textContent = error.message;
    this.again = setTimeout(() => this.redraw(), this.tiles.waitMs + 100);
  }

  /** Say beside the event that it, or those of a site, could not be read. */
  eventFailed = (error) => {
    this.eventProblem.textContent = error.message;
    this.eventProblem.hidden = false;
  };

  async readEvents() {
    if (!this.facts.run) return;
    await Promise.all(this.sites.map((site) => this.eventsOf(site)));
    this.eventProblem.hidden = true;
    const found = this.wanted && this.sites.map((site) => this.events.get(site)?.find(Number(this.wanted))).find(Boolean);
    if (found) this.chooseEvent(found, this.toS - this.fromS > 3600);
    this.wanted = null;
    this.redraw();
  }

  /** Return the events of a site once they are there. */
  async eventsOf(site) {
    if (!this.reading.has(site)) this.reading.set(site, get(at`/nights/${this.facts.night}/drawn-events`, { site, run: this.facts.run.run_id, show: true }));
    const reading = this.reading.get(site);
    const buffer = await reading.catch((error) => {
      if (this.reading.get(site) === reading) this.reading.delete(site); // the next time may go well
      throw error;
    });
    if (this.events.get(site)?.buffer !== buffer) {
      this.events.set(site, new Events(site, buffer));
      this.events.get(site).candidates = this.candidates;
    }
    return this.events.get(site);
  }

  // What is shown

  clamp(fromS, toS) {
    const span = Math.min(Math.max(toS - fromS, SHORTEST_S), this.facts.duration_s);
    this.fromS = Math.min(Math.max(fromS, 0), this.facts.duration_s - span);
    this.toS = this.fromS + span;
  }

  show(fromS, toS) {
    this.clamp(fromS, toS);
    this.tiles?.moved();
    this.redraw();
  }

  /** Zoom in (factor below 1) or out around a time, else the chosen event if it is seen, else the middle. */
  zoom(factor, atS) {
    const seen = this.chosen && this.chosen.peakS > this.fromS && this.chosen.peakS < this.toS;
    const around = atS ?? (seen ? this.chosen.peakS : (this.fromS + this.toS) / 2);
    const span = Math.min(Math.max((this.toS - this.fromS) * factor, SHORTEST_S), this.facts.duration_s);
    const part = (around - this.fromS) / (this.toS - this.fromS);
    this.show(around - part * span, around + (1 - part) * span);
  }

  pan(part) {
    const by = part * (this.toS - this.fromS);
    this.show(this.fromS + by, this.toS + by);
  }

  centre(s, spanS = this.toS - this.fromS) {
    this.show(s - spanS / 2, s + spanS / 2);
  }

  /** Show a site alone, unless it is among those that are shown. */
  showSite(site) {
    if (!this.sites.includes(site)) this.sites = [site];
    this.sitesChanged();
  }

  toggleSite(site) {
    const others = this.sites.filter((one) => one !== site);
    if (others.length < this.sites.length) this.sites = others.length ? others : this.sites;
    else this.sites = [...this.sites, site].slice(-MOST_SITES);
    this.sites.sort((a, b) => this.order(a) - this.order(b));
    this.sitesChanged();
  }

  sitesChanged() {
    this.writeSites();
    this.tiles?.moved();
    this.readEvents().catch(this.eventFailed);
    this.redraw();
  }

  order(site) {
    return this.facts.sites.findIndex((one) => one.site === site);
  }

  taller(factor) {
    for (const site of this.sites) {
      this.tops.set(site, nice(this.top(site) * factor * (factor < 1 ? 0.999 : 1.2)));
      this.gains.set(site, (this.gains.get(site) ?? 1) * factor);
    }
    this.redraw();
  }

  /** Return what stands at the top of a site's trace: about twice what its larger twitches reach. */
  top(site) {
    if (!this.tops.has(site)) {
      const events = this.events.get(site);
      if (!events) return 50;
      const sizes = Float32Array.from(events.peakToPeakMg.filter((mg, i) => mg > 0 && events.what[i] & 1)).sort();
      this.tops.set(site, nice(Math.max((sizes[Math.floor(sizes.length * 0.9)] ?? 25) * 1.25, 5)));
    }
    return this.tops.get(site);
  }

  // Drawing

  redraw() {
    if (this.due) return;
    this.due = requestAnimationFrame(() => {
      this.due = null;
      this.draw();
    });
  }

  draw() {
    if (!this.tiles || !this.view.clientWidth) return;
    const shape = layout(this.sites.length, this.axes);
    this.painter.size(this.view.clientWidth, shape.height);
    const spanS = this.toS - this.fromS;
    const level = this.tiles.levelFor(spanS / this.painter.columns.width);
    this.shown = {
      fromS: this.fromS, toS: this.toS, spanS, level, tiles: this.tiles, clock: this.clock, marks: this.marks, layout: shape,
      chosenId: this.chosen?.id, rangeS: this.rangeS, rangeSite: this.rangeSite,
      traces: this.sites.map((site) => this.trace(site)),
    };
    const tooMuch = level < 0 && spanS > 400; // the view of the whole night is not made yet
    const there = tooMuch || this.tiles.want(this.sites, level, this.fromS, this.toS);
    const whole = this.painter.draw(this.shown);
    document.dispatchEvent(new CustomEvent("signal-drawn", { detail: { complete: there && whole } }));
    clearTimeout(this.settled);
    this.settled = setTimeout(() => this.settle(), 250);
  }

  trace(site) {
    const { label } = this.facts.sites[this.order(site)];
    const [low, high] = this.band?.[site] ?? [3, 45];
    const bandWords = t("night.band", { low: number(low), high: number(high) });
    return { site, label: `${this.order(site) + 1}  ${label}`, bandWords, topMg: this.top(site), gain: this.gains.get(site) ?? 1, cover: this.cover[site] ?? [], events: this.events.get(site) };
  }

  /** Say in words what is shown, and keep it in the address. */
  settle() {
    const spanS = this.toS - this.fromS;
    const digits = spanS < 10 ? 2 : spanS < 120 ? 1 : 0;
    const names = this.sites.map((site) => this.facts.sites[this.order(site)].label).join(", ");
    const times = { from: this.clock.time(this.fromS, digits), to: this.clock.time(this.toS, digits), span: spanS < 60 ? t("night.seconds", { s: number(spanS, spanS < 10 ? 2 : 0) }) : durationWords(spanS) };
    id("signal-said").textContent = `${names} · ${t("night.signal_shown", times)} ${this.countedWords()}`;
    const url = new URL(location);
    url.searchParams.set("site", this.sites.join(","));
    url.searchParams.set("t0", this.fromS.toFixed(2));
    url.searchParams.set("t1", this.toS.toFixed(2));
    if (this.chosen) url.searchParams.set("event", this.chosen.id);
    else url.searchParams.delete("event");
    history.replaceState(null, "", url);
  }

  /** Return how many events of what is shown count; nothing while some are not read: they are not none. */
  countedWords() {
    const events = this.sites.map((site) => this.events.get(site));
    if (!events.every(Boolean)) return "";
    return t("night.signal_events", { n: number(events.reduce((sum, one) => sum + one.counted(this.fromS, this.toS), 0)) });
  }

  writeSites() {
    const box = id("signal-sites");
    if (!box.children.length)
      box.append(...this.facts.sites.map(({ site, label }, k) => make("button", { type: "button", onclick: () => this.toggleSite(site) }, `${k + 1} ${label}`)));
    this.facts.sites.forEach(({ site }, k) => box.children[k].setAttribute("aria-pressed", String(this.sites.includes(site))));
  }

  // Events

  async stepEvent(forward) {
    const site = this.chosen && this.sites.includes(this.chosen.site) ? this.chosen.site : this.sites[0];
    const before = this.chosen;
    const events = this.events.get(site) ?? (await this.readToStep(site));
    if (events === undefined) return; // said already
    const last = this.chosen ?? before;
    const seen = last && last.peakS >= this.fromS && last.peakS <= this.toS;
    const from = seen ? last.peakS : forward ? this.fromS : this.toS;
    const next = events?.beside(from, forward);
    if (!next) return say(t("night.event_no_more"));
    return this.chooseEvent(next, true);
  }

  /** Return the events of a site to step to. Until they are there nothing is chosen: a verdict would be of the one before. */
  async readToStep(site) {
    if (!this.facts.run) return null;
    this.chooseEvent(null);
    return this.eventsOf(site).catch(this.eventFailed);
  }

  /** Choose an event (null: none), and bring it into view. What is judged from here on is this one, facts or not. */
  async chooseEvent(event, bring = false) {
    const other = event?.id !== this.chosen?.id;
    this.chosen = event;
    this.eventProblem.hidden = true;
    if (event && bring) {
      const spanS = Math.min(this.toS - this.fromS, 30);
      const margin = spanS * 0.15;
      if (spanS < this.toS - this.fromS || event.peakS < this.fromS + margin || event.peakS > this.toS - margin) this.centre(event.peakS, spanS);
    }
    this.redraw();
    id("event-none").hidden = Boolean(event);
    id("event-facts").hidden = !event;
    const tell = (facts) => document.dispatchEvent(new CustomEvent("event-chosen", { detail: event && { night: this.facts.night, site: event.site, id: event.id, peakS: event.peakS, event: facts } }));
    if (event && other) this.writePlace(event);
    if (other) tell(null);
    const asked = (this.asked = event); // an answer to what was asked before comes too late
    if (!event) return;
    try {
      const facts = await get(at`/nights/${this.facts.night}/events/${event.id}`, { run: this.facts.run.run_id, show: true });
      if (this.asked !== asked) return;
      this.writeEvent(facts);
      tell(facts);
    } catch (error) {
      if (this.asked === asked) this.eventFailed(error);
    }
  }

  /** Say where and when an event is until the rest is known, in as much room: what stands below stays where it is. */
  writePlace({ site, peakS }) {
    const box = id("event-facts");
    box.style.minHeight = `${box.offsetHeight}px`;
    this.writeRows([["site", this.facts.sites[this.order(site)].label], ["time", this.clock.time(peakS, 2)]]);
  }

  writeRows(rows) {
    id("event-facts").replaceChildren(...rows.flatMap(([key, value]) => [make("dt", {}, t(`night.event_${key}`)), make("dd", {}, value)]));
  }

  writeEvent(facts) {
    const site = this.facts.sites[this.order(facts.site)].label;
    const rows = [
      ["site", site],
      ["time", this.clock.time(facts.peak_s, 2)],
      ["size", facts.peak_to_peak_mg === null ? "" : `${number(facts.peak_to_peak_mg, 1)} mg`],
      ["lasted", facts.duration_ms === null ? "" : `${number(facts.duration_ms)} ms`],
      ["snr", facts.snr === null ? "" : t("night.event_snr_value", { d: number(facts.snr, 1) })],
      ["probability", facts.probability === null ? t("night.event_probability_none") : `${number(100 * facts.probability, 1)} %`],
      ["counted", t(facts.counted ? "night.yes" : "night.no") + (facts.flags.length ? ` (${facts.flags.map((flag) => t(`night.flag_${flag}`)).join(", ")})` : "")],
      ["reason", facts.reason && t(`night.reason_${facts.reason}`)],
      ["label", t(facts.label ? `night.label_${facts.label}` : "night.label_none")],
    ];
    if (facts.unit >= 0) rows.push(["unit", String(unitNumber(facts.unit))]);
    const words = rows.filter(([, value]) => value !== "");
    this.writeRows(words);
    id("event-facts").style.minHeight = "";
    say(`${site}, ${words.slice(1).map(([key, value]) => `${t(`night.event_${key}`)}: ${value}`).join(", ")}`);
  }

  chooseRange(fromS, toS, site = this.sites[0]) {
    this.rangeS = fromS === null ? null : [fromS, toS];
    this.rangeSite = site;
    const { label } = this.facts.sites[this.order(site)];
    id("choose-range").textContent = t(this.rangeS ? "night.unchoose_range" : "night.choose_range");
    this.redraw();
    const detail = fromS === null ? null : { night: this.facts.night, site, label, fromS, toS };
    if (detail) say(t("night.range_chosen", { site: label, from: this.clock.time(fromS, 1), to: this.clock.time(toS, 1) }));
    document.dispatchEvent(new CustomEvent("range-chosen", { detail }));
  }

  setAxes(on) {
    this.axes = on;
    id("axes").setAttribute("aria-pressed", String(on));
    this.redraw();
  }

  setCandidates(on) {
    this.candidates = on;
    id("candidates").setAttribute("aria-pressed", String(on));
    for (const events of this.events.values()) if (events) events.candidates = on;
    this.redraw();
  }

  chooseAt(site, s, withinS) {
    const found = this.events.get(site)?.near(s, withinS) ?? null;
    this.chooseEvent(found);
  }

  seconds(clientX) {
    const box = this.view.getBoundingClientRect();
    const left = this.painter.x(this.shown, this.shown.fromS);
    return this.fromS + ((clientX - box.left - left) / (box.width - left)) * (this.toS - this.fromS);
  }
}
