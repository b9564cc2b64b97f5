// The evening: it asks every few seconds how things stand and shows that. Nothing here is needed by a recording.
import { at as path, get, send } from "./api.js";
import { make, say, shortcut } from "./page.js";
import { t } from "./texts.js";
import { choose, offer, order, scan } from "./tonight_setup.js";
import { battery, clock, length, percent } from "./tonight_words.js";

const at = (id) => document.getElementById(id);
const SOON_MS = 700, USUAL_MS = 2500, UNSEEN_MS = 20000;
const JUST_NS = 4 * 3600 * 1e9;
let now = null; // what the server said last
let asked = 0; // answers that were overtaken by what somebody did are not shown
let timer = 0;
let changing = false; // somebody wants another set-up
let watched = null; // the kind of program that this page saw running
let complaint = null; // why the last thing that somebody did was refused
let ordered = []; // places of the set-up that runs

async function poll() {
  clearTimeout(timer);
  const mine = ++asked;
  try {
    const answer = await get("/tonight");
    if (mine === asked) show(answer);
  } catch (error) {
    if (mine === asked) silent(error);
  }
  if (mine !== asked) return;
  const hurry = now && (now.job?.running || searching(now) || ["starting", "ending"].includes(now.phase));
  timer = setTimeout(poll, document.hidden ? UNSEEN_MS : hurry ? SOON_MS : USUAL_MS);
}

/** Do what somebody asked for; a refusal is shown, and how things stand afterwards. */
async function act(button, work) {
  button.setAttribute("aria-busy", "true");
  complaint = null;
  try {
    await work();
  } catch (error) {
    complaint = error.message;
    say(complaint);
  }
  button.removeAttribute("aria-busy");
  poll();
}

function show(next) {
  const before = now;
  now = next;
  const { phase, job, recording, setup, last } = next;
  if (job?.running) watched = job.kind;
  const busy = Boolean(job?.running && job.kind !== "scan");
  const live = recording !== null;
  if (live) changing = false;
  if (live && !before?.recording) sure(false, false);
  done(before?.job, job);
  const calm = !live && !busy && phase !== "starting";
  visible("live", live);
  visible("beginning", phase === "starting" && !live);
  visible("broken", calm && phase === "broken_off");
  visible("job", Boolean(job && job.kind !== "scan" && (job.running || (watched === job.kind && (job.error || job.cancelled)))) && !live);
  visible("last", calm && last !== null);
  visible("ready", calm && setup !== null && !changing);
  for (const id of ["start", "start-note"]) visible(id, phase !== "broken_off");
  visible("report", calm && Boolean(job?.checked) && !changing);
  visible("setup", calm && (changing || setup === null));
  headline(next);
  trouble(complaint ?? next.trouble);
  if (live) showLive(recording, next);
  if (job?.kind === "scan") scanning(job);
  else if (job) showJob(job);
  if (last) showLast(last, next);
  if (phase === "broken_off") put("broken-line", t("tonight.broken", { time: clock(last.end_ns, last.time_zone) }));
  if (setup) showReady(setup, before?.setup);
  if (job?.checked) list("report-sensors", job.checked.sensors, checked), report(job.checked);
  dim(live || phase === "starting");
  if (before && before.phase !== phase) say(at("state").textContent);
  if (before && searching(before) && next.search?.state === "done") say(t("tonight.found"));
  if (before?.job?.running && job?.checked && !job.running) at("report-title").focus();
  if (document.activeElement?.closest("[hidden]")) at("headline").focus();
}

function headline({ phase, recording }) {
  let text = t(`tonight.state_${phase}`);
  if (phase === "starting") text += `. ${t("tonight.starting_note")}`;
  if (phase === "ending") text += `. ${t("tonight.ending_note")}`;
  if (phase === "detecting") text += `. ${t("tonight.finding")}`;
  if (phase === "recording" && recording.start_ns !== null) {
    const since = t("tonight.since", { time: clock(recording.start_ns, recording.time_zone) });
    const end = clock(recording.end_ns, recording.time_zone);
    text += `. ${since}, ${end === null ? t("tonight.no_end") : t("tonight.until", { time: end })}.`;
  }
  put("state", text);
}

function showLive(recording, { now_ns: nowNs, phase }) {
  const { sensors } = recording;
  const sent = sensors.filter((one) => one.state === "streaming").length;
  const n = sensors.length;
  visible("live-trial", recording.virtual);
  const said = recording.trouble ?? (recording.answers ? null : t("tonight.silent"));
  put("live-trouble", said ?? "");
  visible("live-trouble", said !== null);
  const all = n ? t(sent === n ? "tonight.all_stream" : "tonight.some_stream", { n, sent }) : t("tonight.starting_note");
  if (put("live-line", all)) say(all);
  list("live-sensors", sensors, (one) => sensor(one, state(one), [battery(one, nowNs, recording.time_zone), one.trouble]));
  list("live-details", sensors, (one) => make("li", {}, [one.label, ...details(one)].join(" · ")));
  const when = (one) => `${clock(one.utc_ns, recording.time_zone)} ${one.sentence}`;
  list("live-said", [...recording.said].reverse(), (one) => make("li", {}, when(one)));
  const free = recording.disk_free_bytes;
  put("live-disk", free === null ? "" : t("tonight.disk", { size: Math.floor(free / 1e9) }));
  list("live-advice", recording.advice, (line) => make("li", {}, line));
  visible("live-advice-box", recording.advice.length > 0);
  for (const id of ["marks", "stopping"]) visible(id, phase !== "ending");
}

function state(one) {
  if (one.state === "streaming") return t("tonight.streaming");
  if (one.state === "lost") return t("tonight.lost", { time: length(one.since_s) });
  return t(one.state === "starting" ? "tonight.sensor_starting" : "tonight.waiting");
}

function details(one) {
  return [
    one.fs_hz && t("tonight.rate", { fs: one.fs_hz.toFixed(1) }),
    t("tonight.samples", { n: one.samples.toLocaleString("en") }),
    one.lost_share !== null && t("tonight.loss", { share: percent(one.lost_share) }),
    one.rssi_dbm && `${one.rssi_dbm} dBm`,
  ].filter(Boolean);
}

function sensor(one, text, more) {
  const head = make("div", { class: "what" }, make("span", {}, one.label), make("span", { class: "quiet" }, text));
  return make("li", {}, head, more.filter(Boolean).map((line) => make("p", { class: "quiet" }, line)));
}

function showJob(job) {
  put("job-title", t(`tonight.job_${job.kind}`));
  const tap = job.asked_label && t("tonight.tap_now", { label: job.asked_label });
  visible("job-tap", Boolean(tap));
  if (put("job-tap", tap ?? "") && tap) say(tap);
  const said = job.error ?? (job.cancelled ? t("tonight.cancelled") : job.said.at(-1));
  if (put("job-said", tap && said?.includes(job.asked_label) ? "" : said ?? "") && job.error) say(job.error);
  const sites = job.kind === "setup" && job.running ? ordered : [];
  visible("job-sites", sites.length > 0);
  list("job-sites", sites.map((one) => ({ ...one, done: job.placed.includes(one.site), here: job.asked === one.site })), (one) =>
    make("li", { "aria-current": one.here && "step" }, one.done ? `${one.label}: ${t("tonight.done_site")}` : one.label));
  const note = { check: "tonight.check_note", setup: ordered.trial ? "tonight.tap_trial" : "tonight.tap_how" };
  put("job-note", job.running && note[job.kind] ? t(note[job.kind]) : "");
  visible("job-cancel", job.running);
}

function scanning(job) {
  if (job.running) put("scan-result", t("tonight.scanning"));
  else if (watched === "scan" && (job.error || job.cancelled)) put("scan-result", job.error ?? t("tonight.cancelled"));
}

/** What follows when a program has ended that this page saw running. */
function done(before, job) {
  if (!before?.running || job?.running || job?.kind !== before.kind) return;
  if (job.error || job.cancelled) return;
  if (job.kind === "setup") {
    changing = false;
    say(t("tonight.setup_done"));
  }
  if (job.kind === "scan") offer(job.found ?? []);
  if (job.kind === "check") say(t(job.checked?.ready ? "tonight.check_ready" : "tonight.check_not_ready"));
}

function checked(one) {
  const works = one.streams && one.measured;
  const key = works ? "check_sensor_ready" : one.found ? "check_sensor_heard" : "check_sensor_unheard";
  const m = one.measured;
  const measured = m && { fs: m.fs_hz.toFixed(1), share: percent(m.lost_share), mg: m.smallest_twitch_mg.toFixed(1) };
  const lines = [one.trouble, battery(one, now.now_ns), m && t("tonight.check_measured", measured)];
  const line = sensor({ label: one.where }, t(`tonight.${key}`), lines);
  if (one.advice.length) {
    const advice = one.advice.map((text) => make("p", { class: "quiet" }, text));
    line.append(make("details", { open: !works }, make("summary", {}, t("tonight.check_what")), advice));
  }
  return line;
}

function report({ ready, radio, plan, computer, to_do: todo, sensors }) {
  put("report-title", t(ready ? "tonight.check_ready" : "tonight.check_not_ready"));
  const told = new Set(sensors.map((one) => `${one.site}: ${one.trouble}`));
  list("report-todo", [...new Set([radio, ...todo])].filter((line) => line && !told.has(line)), (line) => make("li", {}, line));
  list("report-more", [...plan, ...computer], (line) => make("li", {}, line));
}

function searching({ search }) {
  return ["waiting", "running"].includes(search?.state);
}

function showLast(last, next) {
  const { phase, search, now_ns: nowNs, setup } = next;
  const n = last.sensors.length;
  const there = n ? last.sensors.reduce((sum, one) => sum + one.share, 0) / n : 0;
  const [start, end] = [last.start_ns, last.end_ns].map((one) => clock(one, last.time_zone));
  put("last-title", t(last.finished ? "tonight.safe" : "tonight.last_night"));
  put("last-line", t("tonight.safe_line", { length: length(last.seconds), n, share: percent(there) }));
  const when = t("tonight.safe_from_to", { start, end });
  put("last-when", [when, !last.finished && t("tonight.unended", { end }), last.virtual && t("tonight.trial_note")].filter(Boolean).join(" "));
  list("last-sensors", last.sensors, (one) => make("li", {}, night(one)));
  const asked = searching(next);
  const finding = phase === "detecting" || asked;
  const share = asked ? ` ${t("tonight.finding_share", { share: `${Math.round(search.progress * 100)} %` })}` : "";
  const failed = search?.state === "failed" && !last.detected ? search.sentence : "";
  put("last-found", finding ? t("tonight.finding") + share : failed);
  visible("last-found", finding || failed !== "");
  visible("find-cancel", asked);
  visible("find", !last.detected && !finding);
  visible("open", !finding);
  at("open").href = `/night/${encodeURIComponent(last.night)}`;
  at("open").classList.toggle("first", last.detected);
  at("find").classList.toggle("first", phase !== "broken_off" && (!setup || nowNs - last.end_ns < JUST_NS));
  const first = nowNs - last.end_ns < JUST_NS ? at("ready") : at("after");
  if (at("last").nextElementSibling !== first) at("last").parentElement.insertBefore(at("last"), first);
}

function night(one) {
  const values = { label: one.label, length: length(one.seconds), share: percent(one.share), cause: one.missing, lost: length(one.missing_s) };
  if (!one.seconds) return t(one.missing ? "tonight.sensor_nothing_why" : "tonight.sensor_nothing", values);
  return t(one.missing && one.share < 0.995 ? "tonight.sensor_missing" : "tonight.sensor_night", values);
}

function showReady(setup, before) {
  visible("ready-trial", setup.virtual);
  visible("keep", true);
  list("ready-sensors", setup.sensors, (one) => sensor(one, setup.virtual ? t("tonight.trial_sensor") : one.name || one.model, [one.placement]));
  if (!before) at("until").value = localStorage.getItem("tonight.until") ?? (setup.until || "07:00");
}

/** Show a list; it is made anew only when what it shows has changed. */
function list(id, items, line) {
  const key = JSON.stringify(items);
  const element = at(id);
  if (element.dataset.shows === key) return;
  element.dataset.shows = key;
  element.replaceChildren(...items.map(line));
}

function put(id, text) {
  if (at(id).textContent === text) return false;
  at(id).textContent = text;
  return true;
}

function visible(id, is) {
  at(id).hidden = !is;
}

/** What was shown of a recording says nothing any more when nobody answers. */
function silent(error) {
  trouble(error.status ? error.message : t("tonight.no_answer"));
  visible("live", false);
}

function trouble(text) {
  put("trouble", text ?? "");
  visible("trouble", Boolean(text));
}

function dim(night) {
  const on = night && localStorage.getItem("tonight.dim") !== "off";
  document.documentElement.toggleAttribute("data-dim", on);
  at("dim").setAttribute("aria-pressed", String(on));
}

function start(button, more) {
  const until = at("until").value;
  localStorage.setItem("tonight.until", until);
  const end = until ? { until } : { hours: 24 };
  return act(button, () => send("POST", "/tonight/start", { ...end, detect: at("detect").checked, ...more }));
}

function mark(text, button) {
  return act(button, async () => {
    const marked = await send("POST", "/tonight/marks", { text });
    const time = clock(Date.now() * 1e6, now?.recording?.time_zone);
    const told = marked.text ? t("tonight.marked_what", { time, text: marked.text }) : t("tonight.marked", { time });
    put("marked", told);
    say(told);
  });
}

function sure(is, focus = true) {
  visible("stop", !is);
  visible("stop-sure", is);
  if (focus) at(is ? "stop-no" : "stop").focus();
}

function change(is) {
  changing = is;
  if (is && now?.setup) choose(now.setup);
  show(now);
  if (is) at("setup-title").focus();
}

const on = (id, what, work) => at(id).addEventListener(what, work);
on("start-form", "submit", (event) => (event.preventDefault(), start(at("start"))));
on("go-on", "click", () => start(at("go-on")));
on("begin-new", "click", () => start(at("begin-new"), { new: true }));
on("stop", "click", () => sure(true));
on("stop-no", "click", () => sure(false));
on("stop-yes", "click", () => act(at("stop-yes"), () => (sure(false), send("POST", "/tonight/stop", {}))));
on("stop-starting", "click", () => act(at("stop-starting"), () => send("POST", "/tonight/stop", {})));
on("check", "click", () => act(at("check"), () => send("POST", "/tonight/check", { seconds: now.setup?.virtual ? 4 : 20 })));
on("change", "click", () => change(true));
on("keep", "click", () => change(false));
on("scan", "click", () => act(at("scan"), scan));
on("job-cancel", "click", () => act(at("job-cancel"), () => send("POST", "/tonight/cancel", {})));
on("find", "click", () => act(at("find"), () => send("POST", path`/nights/${now.last.night}/detection`, {})));
on("find-cancel", "click", () => act(at("find-cancel"), () => send("DELETE", path`/nights/${now.last.night}/detection`)));
on("do-setup", "click", () =>
  act(at("do-setup"), () => {
    const wanted = order();
    const label = (site) => document.querySelector(`#sites [value="${site}"]`).dataset.label;
    ordered = wanted.sensors.map(({ site }) => ({ site, label: label(site) }));
    ordered.trial = wanted.trial;
    return send("POST", "/tonight/setup", wanted);
  }));
on("mark-form", "submit", (event) => {
  event.preventDefault();
  mark(at("mark-text").value, event.submitter ?? at("mark-text")).then(() => complaint === null && (at("mark-text").value = ""));
});
for (const button of document.querySelectorAll("[data-mark]"))
  button.addEventListener("click", () => mark(button.dataset.mark, button));
on("dim", "click", () => {
  localStorage.setItem("tonight.dim", at("dim").getAttribute("aria-pressed") === "true" ? "off" : "on");
  dim(now?.recording !== null);
});
document.addEventListener("visibilitychange", () => document.hidden || poll());
shortcut("m", t("tonight.key_mark"), () => {
  const felt = document.querySelector("[data-mark]");
  if (now?.recording) mark(felt.dataset.mark, felt);
});
poll();
