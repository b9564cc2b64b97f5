// Learning from corrections: started here, shown with what it did to labels kept aside, used only when somebody says so.
import { get, send } from "./api.js";
import { number } from "./night_words.js";
import { make, say } from "./page.js";
import { t } from "./texts.js";

const POLL_MS = 700;
const element = (id) => document.getElementById(id);
let state = null;
let waiting = null;

function show(now) {
  const ended = state?.task?.running && !now.task?.running ? now.task : null;
  state = now;
  element("work").hidden = false;
  element("state").textContent = "";
  const running = Boolean(now.task?.running);
  element("labelled").textContent = now.nights.with_labels.length ? t("learning.labelled", { n: now.nights.with_labels.length }) : t("learning.no_labels");
  element("train").disabled = running || !now.nights.with_labels.length;
  element("busy").hidden = !running;
  element("task").textContent = taskWords(now.task);
  element("judge").textContent = now.in_use === now.shipped ? t("learning.judge_shipped", { model: now.in_use }) : t("learning.judge_own", { model: now.in_use });
  element("take-back").hidden = now.in_use === now.shipped;
  element("take-back").disabled = running;
  showOthers(now, running);
  element("models").hidden = !now.models.length;
  element("made").replaceChildren(...now.models.map((one) => model(one, now, running)));
  if (ended) say(taskWords(ended));
  clearTimeout(waiting);
  if (running) waiting = setTimeout(load, POLL_MS);
}

function taskWords(task) {
  if (!task) return "";
  if (task.running) return t(`learning.running_${task.what}`);
  return task.error ? task.error : t(`learning.done_${task.what}`);
}

function showOthers({ nights: { judged_by_another: others } }, running) {
  element("recount").hidden = !others.length;
  element("others").textContent = t("learning.others", { n: others.length });
  element("other-nights").replaceChildren(...others.map((one) => make("li", {}, one)));
  element("count-again").disabled = running;
}

function model(one, { in_use: inUse }, running) {
  const used = one.model === inUse;
  const made = t("learning.made", { labels: number(one.labels), twitches: number(one.twitches), n: one.nights.length, base: one.corrects });
  return make(
    "section",
    { class: "card made", "data-model": one.model },
    make("h3", {}, one.model, " ", used ? make("span", { class: "badge" }, t("learning.used")) : null),
    make("p", {}, made),
    one.not_found ? make("p", { class: "quiet" }, t("learning.not_found", { n: one.not_found })) : null,
    one.before && one.after ? agreement(one) : make("p", { class: "note" }, t("learning.cannot_tell", { random: one.random })),
    used ? null : make("div", { class: "row" }, make("button", { type: "button", disabled: running, onclick: () => change("/learning/use", { model: one.model }) }, t("learning.use", { model: one.model }))),
  );
}

function agreement({ before, after, gained, lost, random, corrects, model: name, agrees_more: more }) {
  const percent = (share) => t("learning.percent", { share: number(100 * share, 0) });
  const row = (key) => make("tr", {}, make("th", { scope: "row" }, t(`learning.row_${key}`)), make("td", { class: "number" }, percent(before[key])), make("td", { class: "number" }, percent(after[key])));
  return [
    make("table", {}, make("thead", {}, make("tr", {}, make("td"), make("th", { scope: "col", class: "number" }, corrects), make("th", { scope: "col", class: "number" }, name))), make("tbody", {}, row("precision"), row("missed"))),
    make("p", {}, t("learning.aside", { random: number(random), gained, lost })),
    make("p", { class: "note" }, t(more ? "learning.agrees" : "learning.agrees_not")),
  ];
}

async function change(path, body) {
  try {
    show(await send("POST", path, body));
  } catch (error) {
    element("task").textContent = error.message;
    say(error.message);
  }
}

async function load() {
  try {
    show(await get("/learning"));
  } catch (error) {
    element("state").textContent = error.message;
  }
}

element("train").addEventListener("click", () => change("/learning/train", {}));
element("take-back").addEventListener("click", () => change("/learning/take-back", {}));
element("count-again").addEventListener("click", () => change("/learning/recount", { nights: state.nights.judged_by_another }));
await load();
document.body.dataset.ready = "yes";
