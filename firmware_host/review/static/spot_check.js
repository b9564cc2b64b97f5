// The spot check: one moment at a time, with its surroundings and without a hint of what the detector says.
import { at, get, send } from "./api.js";
import { Clock } from "./night_clock.js";
import { number } from "./night_words.js";
import { make, say, shortcut } from "./page.js";
import { mayShow } from "./shown.js";
import { t } from "./texts.js";
import { around, Picture, thatIsThere } from "./waves.js";

const SPANS_S = [0.4, 1, 2.5, 8];
const night = document.body.dataset.night;
const element = (id) => document.getElementById(id);
const path = (rest) => at`/nights/${night}/` + rest;
const picture = new Picture(element("wave"));
let facts, clock, check, item;
let span = 1;
let elsewhere = false;
let busy = false;
let seen = null; // the item whose picture is there: another cannot be judged yet
let lacking = null; // the item whose picture could not be had: one can say that one cannot tell
let answered = []; // items that were answered in this tab, to go back to
const after = make("p", { hidden: true }, make("button", { type: "button", id: "back-after", onclick: back }, t("spot_check.back")));
element("result").after(after); // the last answer can be put right too

function show(state) {
  check = state;
  answered = remembered();
  const done = state.check !== null && state.next === null;
  element("intro").hidden = state.check !== null;
  element("result").hidden = !done;
  element("judging").hidden = state.check === null || done;
  after.hidden = !done || !answered.length;
  element("state").textContent = "";
  if (done && state.hidden) return askToShow();
  if (done) showResult(state);
  else if (state.next) return showItem(state.next);
}

/** Return what was answered in this tab: a page that is loaded again has its way back too. */
function remembered() {
  const kept = JSON.parse(sessionStorage.getItem("spot-check") ?? "{}");
  return kept.night === night && kept.check === check.check ? kept.items : [];
}

/** All is answered, and the result is one of the numbers that wait until somebody asks. */
async function askToShow() {
  element("result").hidden = true;
  if (!(await mayShow(night, element("state")))) return;
  await show(await get(path("spot-check"), { show: true }));
  element("result-title").focus();
}

/** Show a moment. Where it is and how many were answered changes together with the picture, never before it. */
async function showItem(one) {
  item = one;
  const query = { peak_s: one.peak_s, before_s: SPANS_S[span], after_s: Math.min(SPANS_S[span] * 1.25, 10) };
  try {
    const wave = await get(path("wave"), { site: one.site, ...query });
    if (one !== item) return;
    describe(one);
    picture.show(around(thatIsThere(wave)), t("spot_check.picture", { s: number(query.before_s + query.after_s, 1) }));
    [seen, lacking] = [one, null];
    element("state").textContent = "";
    if (elsewhere) await showElsewhere(one, query);
  } catch (error) {
    if (one !== item) return;
    if (seen !== one) lacking = one;
    describe(one);
    picture.clear(error.message);
    element("state").textContent = error.message;
  }
}

function describe(one) {
  const said = t("spot_check.progress", { done: check.answered, n: check.total });
  element("progress").value = check.answered / check.total;
  element("progress-said").textContent = said;
  element("where").textContent = t("spot_check.where", { site: label(one.site), time: clock.time(one.peak_s, 1) });
  if (!answered.length && document.activeElement === element("back")) element("question").focus();
  element("back").disabled = !answered.length;
  element("others").replaceChildren();
}

async function showElsewhere(one, query) {
  const others = facts.sites.filter(({ site }) => site !== one.site);
  const waves = await Promise.all(others.map(({ site }) => get(path("wave"), { site, ...query })));
  if (one !== item) return;
  element("others").replaceChildren(...others.map(({ label: name }) => make("figure", {}, make("figcaption", {}, name), make("canvas"))));
  [...element("others").querySelectorAll("canvas")].forEach((canvas, k) => new Picture(canvas).show(around(waves[k], { axes: false }), others[k].label));
}

const label = (site) => facts.sites.find((one) => one.site === site)?.label ?? site;

async function answer(what) {
  if (busy || !item || element("judging").hidden) return;
  if (seen !== item && (lacking !== item || what !== "cannot_tell")) {
    if (lacking !== item) element("state").textContent = t("spot_check.not_yet");
    return;
  }
  busy = true;
  const judged = item;
  try {
    const state = await send("POST", path("spot-check/answer"), { check: check.check, item: judged.item, answer: what });
    answered.push(judged);
    sessionStorage.setItem("spot-check", JSON.stringify({ night, check: check.check, items: answered }));
    say(t("spot_check.said", { what: t(`spot_check.${what}`), done: state.answered, n: state.total }));
    busy = false; // the next may be answered as soon as its picture is there
    await show(state);
    if (state.result) element("result-title").focus();
  } catch (error) {
    busy = false;
    element("state").textContent = error.message;
    say(error.message);
  }
}

/** Look at the one before again; its answer holds until another is given. */
async function back() {
  if (busy || !answered.length) return;
  const ended = element("judging").hidden;
  element("judging").hidden = false;
  element("result").hidden = after.hidden = true;
  element("state").textContent = "";
  await showItem(answered.pop());
  if (ended) element("question").focus();
}

async function start() {
  if (busy) return; // a button that is pressed twice draws once
  busy = true;
  try {
    const state = await send("POST", path("spot-check"), {});
    busy = false;
    await show(state);
    element("question").focus();
  } catch (error) {
    busy = false;
    element("state").textContent = error.message;
  }
}

/** The result in words: counts first, then the share with its interval. */
function showResult({ result }) {
  const { precision, missed } = result;
  const percent = (share) => number(100 * share, 0);
  const interval = (one) => ({ share: percent(one.value), low: percent(one.low), high: percent(one.high) });
  const numbers = { yes: result.counted_twitches, judged: result.counted_judged };
  element("precision").textContent = precision.value === null ? t("spot_check.precision_none") : t("spot_check.precision", { ...interval(precision), ...numbers });
  element("missed").textContent = missed.value === null ? t("spot_check.missed_none") : t("spot_check.missed", interval(missed));
  element("untold").textContent = result.cannot_tell ? t("spot_check.untold", { n: result.cannot_tell }) : "";
}

function zoom(by) {
  span = Math.min(Math.max(span + by, 0), SPANS_S.length - 1);
  if (item) showItem(item);
}

function toggleElsewhere() {
  elsewhere = !elsewhere;
  element("elsewhere").setAttribute("aria-pressed", String(elsewhere));
  if (item) showItem(item);
}

for (const [key, what] of [["t", "twitch"], ["n", "not_twitch"], ["c", "cannot_tell"]]) {
  shortcut(key, t(`spot_check.key_${what}`), () => answer(what));
  document.querySelector(`[data-answer=${what}]`).addEventListener("click", () => answer(what));
}
shortcut("b", t("spot_check.back"), back);
shortcut("o", t("spot_check.elsewhere"), toggleElsewhere);
shortcut("+", t("spot_check.narrower"), () => zoom(-1));
shortcut("-", t("spot_check.wider"), () => zoom(1));
for (const [id, action] of Object.entries({ narrower: () => zoom(-1), wider: () => zoom(1), elsewhere: toggleElsewhere, back, start, again: start })) {
  element(id).addEventListener("click", action);
}

async function load() {
  const [known, state] = await Promise.all([get(at`/nights/${night}`), get(path("spot-check"))]);
  facts = known;
  clock = new Clock(facts);
  await show(state);
  document.body.dataset.ready = "yes";
}

if ("counted" in element("state").dataset) load().catch((error) => (element("state").textContent = error.message));
