// Correcting a night: what was said is sent at once, and everything on the page follows from the answer.
import { at, get, send } from "./api.js";
import { Counts } from "./correct_counts.js";
import { Events } from "./correct_events.js";
import { showHistory } from "./correct_history.js";
import { Piles } from "./correct_piles.js";
import { Stretch } from "./correct_stretch.js";
import { askWear } from "./correct_wear.js";
import { actionWords } from "./correct_words.js";
import { Clock } from "./night_clock.js";
import { say, shortcut } from "./page.js";
import { mayShow } from "./shown.js";
import { t } from "./texts.js";

const night = document.body.dataset.night;
const element = (id) => document.getElementById(id);
const modes = ["piles", "events", "stretch", "history"];

/** What the parts of the page share. */
class Desk {
  constructor(facts, found) {
    this.night = night;
    this.facts = facts;
    this.clock = new Clock(facts);
    this.label = Object.fromEntries(facts.sites.map(({ site, label }) => [site, label]));
    this.counts = new Counts(this, found);
    this.mode = "piles";
    this.busy = false;
    this.turn = Promise.resolve();
  }

  path(rest) {
    return at`/nights/${night}/` + rest;
  }

  /** Say something of events or a stretch; returns whether it is kept. A key that is pressed twice says it once. */
  async tell(label) {
    if (this.busy) return false;
    return this.change("labels", label);
  }

  /** Send one change after the other. */
  change(path, body) {
    this.busy = true;
    const turn = this.turn.then(() => this.changed(path, body));
    this.turn = turn;
    return turn.finally(() => (this.busy = this.turn !== turn));
  }

  async changed(path, body) {
    try {
      const state = await send("POST", `${this.path(path)}?show=true`, body);
      if (state.run !== this.state.run) {
        await this.renew(state, "");
        return false; // it is kept, but the next one is not here any more: there is no going on from it
      }
      say(this.take(state));
      await this.follow();
      return true;
    } catch (error) {
      const refused = [404, 409].includes(error.status); // somebody else was quicker: show what holds now
      const renewed = refused && (await this.looked(t("correct.say_again")).catch(() => false));
      if (!renewed) this.problem(error.message);
      return false;
    }
  }

  /** Take back or give back what this page shows as the last thing said, and nothing that was said elsewhere since. */
  step(path, action) {
    return this.change(path, action ? { of: action.id } : {});
  }

  /** Ask what holds now: another page or program may have said something, or looked for the twitches anew. */
  look() {
    this.turn = this.turn.then(() => this.looked()).catch((error) => this.problem(error.message));
    return this.turn;
  }

  /** Returns whether the twitches were looked for anew since; `more` is said then too. */
  async looked(more = "") {
    const state = await get(this.path("labels"), { show: true });
    if (state.run !== this.state.run) {
      await this.renew(state, more);
      return true;
    }
    const same = ["labels", "undo", "redo"].every((name) => JSON.stringify(state[name]) === JSON.stringify(this.state[name]));
    if (same) return false;
    this.problem([t("correct.said_elsewhere"), this.take(state)].join(" "));
    await this.follow();
    return false;
  }

  /** Show another run than before. What differs is the search's doing: it is not told as what a label did. */
  async renew(state, more) {
    const found = await get(this.path("labels/found"), { show: true });
    this.piles.waves.clear();
    this.events.take([], null);
    await this.piles.load();
    this.counts = new Counts(this, found);
    this.take(state);
    await this.show(this.mode);
    this.problem([t("correct.new_run"), more].filter(Boolean).join(" "));
  }

  /** Show what holds now; returns what changed, in words. */
  take(state) {
    this.state = state;
    const changed = this.counts.show(state);
    for (const [id, action] of [["undo", state.undo], ["redo", state.redo]]) {
      element(id).disabled = !action;
      element(id).title = action ? actionWords(this, action) : "";
    }
    const last = state.undo ? t("correct.last", { what: actionWords(this, state.undo) }) : t("correct.nothing_said");
    element("said-last").textContent = [last, changed].filter(Boolean).join(" ");
    element("state").textContent = state.unreadable.join(" ");
    askWear(this, state);
    return [last, changed].filter(Boolean).join(" ");
  }

  problem(text) {
    element("state").textContent = text;
    element("said-last").textContent = text;
    say(text);
  }

  /** Say what could not be had; where that is because of another run, show that one. */
  failed(error) {
    this.problem(error.message);
    if (error.status === 409) this.look();
  }

  /** What is on the page besides the counts follows a label. */
  async follow() {
    await this.piles.refresh();
    if (this.mode === "history") await showHistory(this);
    if (this.mode === "events") await this.events.refresh();
    if (this.mode === "stretch") await this.stretch.refresh();
  }

  async show(mode) {
    this.mode = mode;
    for (const one of modes) element(one).hidden = one !== mode;
    for (const button of element("modes").children) button.setAttribute("aria-pressed", String(button.dataset.mode === mode));
    element("verdicts").hidden = mode !== "piles" && mode !== "events";
    if (mode === "history") await showHistory(this);
    if (mode === "stretch") await this.stretch.refresh();
    if (mode === "events") await this.events.start();
    if (mode === "piles") this.piles.shown();
  }

  /** The part that a verdict is about. */
  get part() {
    return { piles: this.piles, events: this.events }[this.mode];
  }
}

function keys(desk) {
  const part = (method, ...values) => () => desk.part?.[method](...values);
  const actions = [
    ["t", "yes", "correct.key_yes", part("judge", "twitch")],
    ["n", "no", "correct.key_no", part("judge", "not_twitch")],
    ["x", "open", "correct.key_open", part("judge", "no_verdict")],
    ["ArrowRight", "after", "correct.after", part("go", 1)],
    ["ArrowLeft", "before", "correct.before", part("go", -1)],
    ["z", "undo", "correct.key_undo", () => desk.step("labels/undo", desk.state.undo)],
    ["y", "redo", "correct.key_redo", () => desk.step("labels/redo", desk.state.redo)],
  ];
  for (const [key, id, text, action] of actions) {
    shortcut(key, t(text), action);
    element(id).addEventListener("click", action);
  }
  for (const [key, mode] of [["p", "piles"], ["d", "events"], ["s", "stretch"], ["h", "history"]]) {
    shortcut(key, t(`correct.key_${mode}`), () => {
      if (mode === "events" && desk.mode === "events") desk.events.doubtful();
      else desk.show(mode);
    });
  }
  shortcut("o", t("correct.key_one"), () => (desk.mode === "piles" ? desk.piles.oneByOne() : desk.events.toggleElsewhere()));
  element("modes").addEventListener("click", (event) => {
    const mode = event.target.closest("button")?.dataset.mode;
    if (mode) desk.show(mode);
  });
}

async function start() {
  if (!(await mayShow(night, element("state")))) return; // what is corrected is counts
  const [facts, found, state] = await Promise.all([
    get(at`/nights/${night}`),
    get(at`/nights/${night}/labels/found`, { show: true }),
    get(at`/nights/${night}/labels`, { show: true }),
  ]);
  const desk = new Desk(facts, found);
  desk.piles = new Piles(desk);
  desk.events = new Events(desk);
  desk.stretch = new Stretch(desk);
  element("work").hidden = false;
  desk.take(state);
  keys(desk);
  document.addEventListener("visibilitychange", () => document.hidden || desk.look());
  const asked = new URLSearchParams(location.search).get("show");
  await Promise.all([desk.piles.load(), desk.show(modes.includes(asked) ? asked : "piles")]);
  document.body.dataset.ready = "yes";
}

if ("counted" in element("state").dataset) start().catch((error) => (element("state").textContent = error.message));
