// Correcting from the night's page: of the event or the range that is chosen in the signal.
import { at, get, send } from "./api.js";
import { actionWords } from "./correct_words.js";
import { make, say, shortcut } from "./page.js";
import { t } from "./texts.js";

const LONGEST_TO_ADD_S = 5; // in a longer range the largest movement is no one's choice
const night = document.body.dataset.night;
const element = (id) => document.getElementById(id);
const said = make("p", { id: "correct-said", class: "quiet", role: "status" });
const anew = make("button", { type: "button", id: "load-anew", hidden: true }, t("night_correct.anew"));
const ofOldRun = new URLSearchParams(location.search).has("run"); // somebody chose to look at it
let event = null;
let range = null;
let desk = null; // what words about a label are made of
let known = null; // what was told last
let turn = Promise.resolve(); // one change after the other: undo is of the verdict before it
const here = new Set(); // the labels that were told on this page

/** Say what the words about labels are made of, and how the newest run is shown; until then nothing is corrected. */
export function correctWith(facts, clock, loadAnew) {
  anew.addEventListener("click", loadAnew);
  desk = { facts, clock, label: Object.fromEntries(facts.sites.map(({ site, label }) => [site, label])) };
}

/** Return the label of this page that a step would take back or give back, if it is the one that is next. */
const own = (what) => (here.has(known?.[what]?.id) ? known[what] : null);

function take(state) {
  known = state;
  const held = document.activeElement;
  const buttons = ["undo", "redo"].map((what) => {
    const action = own(what);
    const one = element(`label-${what}`);
    one.disabled = !action;
    one.title = action ? actionWords(desk, action) : "";
    return one;
  });
  // One that can no longer be pressed would lose the focus: the other goes the way back.
  if (buttons.includes(held) && held.disabled) buttons.find((one) => !one.disabled)?.focus();
}

const inTurn = (action) => (turn = turn.then(action));

/** Send a change; `done` says it in words from what holds then. */
async function tell(path, body, done) {
  try {
    const state = await send("POST", `${at`/nights/${night}/` + path}?show=true`, body);
    const words = done(state);
    take(state);
    said.textContent = `${words} ${t("night_correct.hold", { n: state.labels })}`;
    // Counts of another run would read as what the label did.
    if (state.run === desk.facts.run?.run_id || ofOldRun) document.dispatchEvent(new CustomEvent("labels-changed"));
    else {
      said.textContent += ` ${t("night_correct.new_run")}`;
      anew.hidden = false;
    }
  } catch (error) {
    said.textContent = error.message;
    anew.hidden = error.status !== 409;
    // Somebody else was quicker.
    if (error.status === 409) await get(at`/nights/${night}/labels`, { show: true }).then(take, () => {});
  }
  say(said.textContent);
}

function label(body) {
  if (!desk) return;
  const done = ({ undo }) => {
    here.add(undo.id);
    return t("night_correct.kept", { what: actionWords(desk, undo) });
  };
  return inTurn(() => tell("labels", body, done));
}

/** Take back or give back what was told here last, and nothing that was said elsewhere. */
const step = (what) => () =>
  inTurn(() => {
    const action = own(what);
    if (action) return tell(`labels/${what}`, { of: action.id }, () => t(`night_correct.done_${what}`, { what: actionWords(desk, action) }));
    said.textContent = t(`night_correct.no_${what}`);
    say(said.textContent);
  });
const verdict = (what) => () => event && label({ what, site: event.site, peaks_s: [event.peakS], drawn: "event" });
const stretch = (what, more = {}) => () => range && label({ what, site: range.site, start_s: range.fromS, end_s: range.toS, ...more });
const counting = (what) => () => stretch(what, { run: desk.facts.run?.run_id })(); // what counts there differs by run

/** Add the largest movement of the range as a twitch. */
async function add() {
  if (!range) return;
  const { site, fromS, toS } = range;
  const middle = (fromS + toS) / 2;
  const half = Math.max((toS - fromS) / 2, 0.06);
  try {
    const wave = await get(at`/nights/${night}/wave`, { site, peak_s: middle, before_s: half, after_s: half });
    let best = -1;
    wave.main_mg.forEach((mg, k) => {
      if (mg !== null && (best < 0 || Math.abs(mg) > Math.abs(wave.main_mg[best]))) best = k;
    });
    if (best < 0) throw new Error(t("night.no_signal"));
    await label({ what: "added", site, peaks_s: [middle + wave.from_s + best / wave.rate_hz] });
  } catch (error) {
    said.textContent = error.message;
    say(error.message);
  }
}

const button = (key, action, hint, more = {}) => make("button", { type: "button", onclick: action, ...more }, t(`night_correct.${key}`, { site: range?.label }), hint ? [" ", make("kbd", {}, hint)] : null);

// Made once: a button that was made anew would lose the focus with each verdict.
const verdicts = make("div", { class: "row", hidden: true }, button("yes", verdict("twitch"), "t"), button("no", verdict("not_twitch"), "r"), button("open", verdict("no_verdict"), "x"));
element("event-actions").append(verdicts);

document.addEventListener("event-chosen", ({ detail }) => {
  event = detail;
  verdicts.hidden = !event;
});

document.addEventListener("range-chosen", ({ detail }) => {
  range = detail;
  if (!range) return element("range-actions").replaceChildren();
  const buttons = [
    button("exclude", stretch("exclude")),
    button("exclude_all", stretch("exclude", { site: null })),
    button("include", stretch("include", { site: null })),
    button("range_no", counting("not_twitch")),
    button("range_yes", counting("twitch")),
  ];
  const short = range.toS - range.fromS <= LONGEST_TO_ADD_S;
  if (short) buttons.push(button("add", add, "m"));
  for (const one of buttons) one.style.whiteSpace = "normal"; // names of sites are long
  const sentence = t("night.range_chosen", { site: range.label, from: desk.clock.time(range.fromS, 1), to: desk.clock.time(range.toS, 1) });
  element("range-actions").replaceChildren(
    make("p", { class: "row quiet" }, sentence),
    make("div", { class: "row" }, buttons, short ? null : make("span", { class: "quiet" }, t("night_correct.add_short", { s: LONGEST_TO_ADD_S }))),
  );
});

element("event-actions").after(
  make("div", { class: "row" }, button("undo", step("undo"), "z", { id: "label-undo", disabled: true }), button("redo", step("redo"), "y", { id: "label-redo", disabled: true })),
  said,
  anew,
);
for (const [key, text, action] of [
  ["t", "key_yes", verdict("twitch")],
  ["r", "key_no", verdict("not_twitch")],
  ["x", "key_open", verdict("no_verdict")],
  ["m", "key_add", add],
  ["z", "undo", step("undo")],
  ["y", "redo", step("redo")],
]) shortcut(key, t(`night_correct.${text}`), action);
