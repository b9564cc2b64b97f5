// Taking nights along: chosen here, made by a process of its own, saved by the browser when it is done.
import { get, send } from "./api.js";
import { number } from "./night_words.js";
import { nightNames } from "./nights_rows.js";
import { make, say } from "./page.js";
import { t } from "./texts.js";

const POLL_MS = 700;
const element = (id) => document.getElementById(id);
const wanted = new URLSearchParams(location.search).getAll("night");
let names = new Map();
let running = false;
let waiting = null;

function choice(type, name, value, checked, ...words) {
  return make("label", { class: "check" }, make("input", { type, name, value, checked }), make("span", {}, ...words));
}

/** A form that can be made, or one that cannot with what there is to do about it. */
function formChoice(form, index, lacking) {
  const made = choice("radio", "form", form, index === 0, t(`export.form_${form}`));
  if (!lacking) return made;
  made.querySelector("input").disabled = true;
  made.querySelector("span").append(make("br"), make("span", { class: "quiet" }, lacking));
  return made;
}

const called = ({ evening, made_up: madeUp, label, participant }) => [evening, ...(madeUp ? [] : [label, participant])].filter(Boolean).join(" · ");

/** A night that can go out, or one that cannot before it is counted, with the way there. */
function nightChoice(one, first) {
  const notes = [one.made_up ? t("export.simulated") : null, one.runs ? null : t("export.not_counted")].filter(Boolean);
  const checked = one.runs > 0 && (wanted.length ? wanted.includes(one.night) : one === first);
  const made = choice("checkbox", "night", one.night, checked, names.get(one.night), " ", ...notes.map((note) => make("span", { class: "badge" }, note)));
  if (one.runs) return made;
  made.querySelector("input").disabled = true;
  const way = one.samples ? make("a", { class: "button", href: `/night/${encodeURIComponent(one.night)}` }, t("export.find")) : make("span", { class: "quiet" }, t("export.no_samples"));
  return make("div", { class: "row" }, made, way);
}

const chosen = (name) => [...document.querySelectorAll(`input[name=${name}]:checked`)].map((one) => one.value);
const isReport = (form) => form.startsWith("report");

function offerSharing() {
  const hidden = isReport(chosen("form")[0]);
  element("sharing").hidden = element("share-what").hidden = hidden;
}

function show({ parcel }) {
  const ended = running && parcel?.state !== "running";
  running = parcel?.state === "running";
  // Disabled, the button would lose the focus, and Tab begin at the top of the page again.
  element("make").setAttribute("aria-disabled", String(running));
  if (!running && document.activeElement === element("cancel")) element("make").focus();
  element("cancel").hidden = element("busy").hidden = !running;
  if (parcel?.progress > 0) element("busy").value = parcel.progress;
  else element("busy").removeAttribute("value");
  element("made").textContent = parcel && parcel.state !== "failed" ? t(`export.${parcel.state}`, { form: t(`export.form_${parcel.form}`) }) : "";
  problem(parcel && !running ? parcel.sentence : "");
  element("save").hidden = !parcel?.file;
  if (parcel?.file) {
    const size = parcel.size_bytes < 1e5 ? t("export.small") : number(parcel.size_bytes / 1e6, 1);
    element("save").textContent = t("export.save", { file: parcel.file, size });
  }
  if (ended) say(element("made").textContent || parcel.sentence);
  clearTimeout(waiting);
  if (running) waiting = setTimeout(() => tell(get("/export")), POLL_MS);
}

function problem(sentence) {
  element("problem").textContent = sentence;
  element("problem").hidden = !sentence;
}

async function tell(answer) {
  try {
    show(await answer);
  } catch (error) {
    problem(error.message);
    say(error.message);
  }
}

function order(event) {
  event.preventDefault();
  if (running) return undefined;
  const [form] = chosen("form");
  const these = chosen("night");
  if (!these.length) return problem(t("export.choose"));
  return tell(send("POST", "/export", { form, nights: these, share: element("share").checked && !isReport(form), mixed: element("mixed").checked }));
}

function tick(checked) {
  for (const one of document.querySelectorAll("input[name=night]")) one.checked = checked && !one.disabled;
  problem("");
}

async function start() {
  try {
    const [list, state] = await Promise.all([get("/nights"), get("/export")]);
    const { nights } = list;
    names = nightNames(nights, called);
    element("state").textContent = nights.length ? "" : t("export.none");
    const counted = nights.filter(({ runs }) => runs);
    element("nights").replaceChildren(...nights.map((one) => nightChoice(one, counted[0])));
    element("mixing").hidden = counted.length < 2;
    element("forms").replaceChildren(...state.forms.map((form, index) => formChoice(form, index, state.lacking[form])));
    element("order").hidden = !nights.length;
    offerSharing();
    show(state);
  } catch (error) {
    element("state").textContent = error.message;
  }
}

element("order").addEventListener("submit", order);
element("forms").addEventListener("change", offerSharing);
element("nights").addEventListener("change", () => problem(""));
element("all").addEventListener("click", () => tick(true));
element("none").addEventListener("click", () => tick(false));
element("cancel").addEventListener("click", () => tell(send("POST", "/export/cancel", {})));
await start();
document.body.dataset.ready = "yes";
