// Correcting from the night's page: of the event or the range that is chosen in the signal.
import { at, get, send } from "./api.js";
import { make, say, shortcut } from "./page.js";
import { t } from "./texts.js";

const LONGEST_TO_ADD_S = 5; // in a longer range the largest movement is no one's choice
const night = document.body.dataset.night;
const element = (id) => document.getElementById(id);
const said = make("p", { id: "correct-said", class: "quiet", role: "status" });
let event = null;
let range = null;
let known = null; // what was told last

async function tell(path, label) {
  try {
    known = await send("POST", `${at`/nights/${night}/` + path}?show=true`, label);
    said.textContent = t("night_correct.kept", { n: known.labels });
    document.dispatchEvent(new CustomEvent("labels-changed"));
  } catch (error) {
    said.textContent = error.message;
    if (error.status === 409) known = await get(at`/nights/${night}/labels`, { show: true }); // somebody else was quicker
  }
  say(said.textContent);
}

/** Take back or give back what was told here last, and nothing that was said elsewhere since. */
const step = (what) => () => tell(`labels/${what}`, known?.[what] ? { of: known[what].id } : {});
const verdict = (what) => () => event && tell("labels", { what, site: event.site, peaks_s: [event.event.peak_s], drawn: "event" });
const stretch = (what, everywhere = false) => () => range && tell("labels", { what, site: everywhere ? null : range.site, start_s: range.fromS, end_s: range.toS });

/** Add the largest movement of the range as a twitch. */
async function add() {
  if (!range) return;
  const middle = (range.fromS + range.toS) / 2;
  const half = Math.max((range.toS - range.fromS) / 2, 0.06);
  try {
    const wave = await get(at`/nights/${night}/wave`, { site: range.site, peak_s: middle, before_s: half, after_s: half });
    let best = -1;
    wave.main_mg.forEach((mg, k) => {
      if (mg !== null && (best < 0 || Math.abs(mg) > Math.abs(wave.main_mg[best]))) best = k;
    });
    if (best < 0) throw new Error(t("night_correct.no_signal"));
    await tell("labels", { what: "added", site: range.site, peaks_s: [middle + wave.from_s + best / wave.rate_hz] });
  } catch (error) {
    said.textContent = error.message;
    say(error.message);
  }
}

const button = (key, action, hint) => make("button", { type: "button", onclick: action }, t(`night_correct.${key}`), hint ? [" ", make("kbd", {}, hint)] : null);

document.addEventListener("event-chosen", ({ detail }) => {
  event = detail;
  element("event-actions").replaceChildren(
    ...(event ? [make("div", { class: "row" }, button("yes", verdict("twitch"), "t"), button("no", verdict("not_twitch"), "r"), button("open", verdict("no_verdict"), "x"))] : []),
  );
});

document.addEventListener("range-chosen", ({ detail }) => {
  range = detail;
  const short = range && range.toS - range.fromS <= LONGEST_TO_ADD_S;
  element("range-actions").replaceChildren(
    ...(range
      ? [make("div", { class: "row" }, button("exclude", stretch("exclude")), button("exclude_all", stretch("exclude", true)), button("include", stretch("include", true)), button("range_no", stretch("not_twitch")), button("range_yes", stretch("twitch")), short ? button("add", add, "m") : make("span", { class: "quiet" }, t("night_correct.add_short", { s: LONGEST_TO_ADD_S })))]
      : []),
  );
});

element("event-actions").after(
  make("div", { class: "row" }, button("undo", step("undo"), "z"), button("redo", step("redo"), "y")),
  said,
);
for (const [key, text, action] of [
  ["t", "key_yes", verdict("twitch")],
  ["r", "key_no", verdict("not_twitch")],
  ["x", "key_open", verdict("no_verdict")],
  ["m", "key_add", add],
  ["z", "undo", step("undo")],
  ["y", "redo", step("redo")],
]) shortcut(key, t(`night_correct.${text}`), action);
