// One night. The map's figure, strips and tables move in step, and the signal beneath follows them.
import { at, get, send } from "./api.js";
import { say, shortcut } from "./page.js";
import { t } from "./texts.js";
import { Clock } from "./night_clock.js";
import { correctWith } from "./night_correct.js";
import { Figure, siteWords, writeLegend } from "./night_figure.js";
import { Strips, changeWords } from "./night_strips.js";
import { writeLimits, writeMarks, writeTables } from "./night_tables.js";
import { durationWords } from "./night_words.js";
import { focusAfter } from "./shown.js";
import { Signal } from "./signal.js";

const id = (name) => document.getElementById(name);
const name = document.body.dataset.night;
const query = new URLSearchParams(location.search);
const FOLLOWED_MS = 30_000; // the recorder needs the computer, too
const PLACES = document.querySelectorAll("[data-base]").length;

const problems = { lasting: "", passing: "" };
const night = { binS: Number(query.get("bin")) || 900, k: null, site: null, map: null, coverage: {}, marks: [], grown: false };

if (id("asked").hidden) start();
else
  id("show-numbers")?.addEventListener("click", () => {
    id("asked").hidden = true;
    id("night").hidden = false;
    if (!("counted" in id("night").dataset)) document.querySelector(".map").hidden = true;
    focusAfter(id("asked"));
    start();
  });

async function start() {
  try {
    // The map is what is waited for; the rest comes after it.
    const counted = "counted" in id("night").dataset;
    const [facts, map] = await Promise.all([get(at`/nights/${name}`, { run: query.get("run") }), counted ? readMap().catch((error) => error) : null]);
    night.facts = facts;
    night.clock = new Clock(facts);
    correctWith(facts, night.clock, loadAnew);
    writeHead(facts);
    if (map && !(map instanceof Error)) withMap(map);
    else withoutMap(facts, map);
    if (!(facts.duration_s > 0)) return await noSamples();
    await painted();
    night.signal = new Signal(facts, night.clock, query);
    if (query.get("site")) chooseSite(night.signal.sites[0], false);
    await Promise.all([readCoverage(), readMarks()]);
    if (!facts.being_written) return;
    setInterval(() => follow().catch((error) => problem(error.message)), FOLLOWED_MS);
    document.addEventListener("visibilitychange", () => follow().catch((error) => problem(error.message)));
  } catch (error) {
    problem(error.message);
  }
}

/** Follow a night that is being recorded: it grows, and it ends. */
async function follow() {
  if (!night.facts.being_written || document.hidden) return;
  const { duration_s: durationS, being_written: goesOn, clock } = await get(at`/nights/${name}`, { run: query.get("run") });
  problem("");
  night.facts.being_written = goesOn;
  night.clock.parts = clock;
  if (durationS > night.facts.duration_s) {
    await (night.signal?.lengthen(durationS) ?? location.reload());
    if (night.map) show(); // its axis is as long as the night
  }
  writeHead(night.facts);
  if (goesOn) return;
  if (night.map) await readMarks(); // what came since it was counted
  else if (id("uncounted").checkVisibility()) offerSearch("ended");
}

/** Say why twitches should be looked for (again), above all else, with the button for it. */
function offerSearch(why, button = "find") {
  id("uncounted").hidden = false;
  id("search").textContent = t(`night.${why}`);
  id("find").textContent = t(`night.${button}`);
  id("find").hidden = night.facts.being_written;
}

/** Wait until what was drawn is on the screen: the signal must not keep the map waiting. */
async function painted() {
  const frame = () => new Promise((done) => requestAnimationFrame(done));
  await frame();
  await frame();
  performance.mark("map-painted"); // read by benchmarks/review_browser.py
}

/** Say what went wrong ("": what was tried last went well), beside what is wrong with the night itself. */
function problem(sentence, kind = "passing") {
  problems[kind] = sentence;
  const words = [problems.lasting, problems.passing].filter(Boolean).join(" ");
  if (id("problem").textContent !== words) id("problem").textContent = words; // it is read aloud when it is written
  id("problem").hidden = !words;
}

async function readMap(binS = night.binS) {
  const map = await get(at`/nights/${name}/map`, { bin_s: binS, run: query.get("run"), show: true });
  map.bySite = Object.fromEntries(map.sites.map((one) => [one.site, one]));
  return map;
}

function writeHead(facts) {
  const clock = night.clock;
  const date = clock.day(0, { weekday: "short", day: "numeric", month: "short", year: "numeric" });
  const words = [
    facts.start_known ? `${date}, ${clock.time(0)} to ${clock.named(facts.duration_s)}` : t("night.start_unknown"),
    durationWords(facts.duration_s),
    facts.start_known ? facts.time_zone : null,
    t("night.sensors", { n: facts.sites.length }),
  ];
  if (facts.being_written) words.push(t("night.running"));
  id("when").textContent = [words.filter(Boolean).join(" · "), changeWords(clock)].filter(Boolean).join(". ");
}

function withoutMap(facts, error) {
  document.querySelector(".map").hidden = true;
  writeLimits(facts, null, false, PLACES);
  if (error) return problem(error.message, "lasting");
  if (facts.duration_s > 0) offerSearch(facts.being_written ? "not_counted_running" : "not_counted");
}

function noSamples() {
  id("signal").hidden = true;
  problem(t("night.no_samples"), "lasting");
  return readMarks();
}

/** Have the night's twitches found, say how far that is, and show the night anew. */
async function find() {
  id("find").hidden = true;
  try {
    await send("POST", at`/nights/${name}/detection`, {});
    for (;;) {
      const { state, progress, sentence } = await get(at`/nights/${name}/detection`);
      if (state === "done") return loadAnew();
      if (state !== "waiting" && state !== "running") throw new Error(sentence || t("night.find_stopped"));
      id("search").textContent = t("night.finding", { share: 10 * Math.floor(10 * (progress ?? 0)) }); // read aloud each time it changes
      await new Promise((done) => setTimeout(done, 700));
    }
  } catch (error) {
    id("search").textContent = error.message;
    id("find").hidden = false;
  }
}

/** Show the newest run of what is shown. */
function loadAnew() {
  const url = new URL(location);
  url.searchParams.delete("run");
  url.hash = ""; // with one the page would stay
  location.replace(url);
}

function withMap(map) {
  night.map = map;
  night.figure = new Figure(document.querySelector(".figure"), night.facts.sites, (site) => chooseSite(site));
  night.strips = new Strips(id("strips"), night.facts.sites, night.clock, (site) => chooseSite(site), (k) => chooseBin(k));
  wire();
  writeBins();
  show();
  writeLimits(night.facts, map, night.grown, PLACES);
}

/** Show what is chosen, everywhere. */
function show() {
  const { map, k, site, facts } = night;
  const ofS = k === null ? facts.duration_s : night.strips.binLength(k);
  night.strips.show(map, night.coverage, k, site, night.marks);
  night.figure.paint(map, k, site, ofS);
  const states = new Set(map.sites.flatMap((one) => [...one.bins.state, ...one.night.state]));
  if (map.sites.some((one) => [...one.bins.little, ...one.night.little].some(Boolean))) states.add("little");
  writeLegend(map, k, states);
  id("chosen-name").textContent = timeWords(k);
  id("whole").disabled = k === null;
  const slider = id("time");
  slider.max = map.start_s.length - 1;
  if (k !== null) slider.value = k;
  slider.classList.toggle("none", k === null);
  slider.setAttribute("aria-valuetext", timeWords(k));
  const notes = [t(map.night_scale.root ? "night.strips_own" : "night.strips_one", { bin: durationWords(map.bin_s) })];
  if (night.strips.cuts) notes.push(t("night.strips_cut"));
  if (map.sites.some((one) => one.night.detection_limit_mg[0] !== null)) notes.push(t("night.strips_limit"));
  id("strips-note").textContent = notes.join(" ");
  if (!id("tables").hidden) writeTables(map, facts.sites, night.clock, k, timeWords(k), site);
}

function timeWords(k) {
  if (k === null) return t("night.whole_night");
  const from = Math.max(night.map.start_s[k], 0);
  const to = from + night.strips.binLength(k);
  return t("night.from_to", { from: night.clock.named(from), to: night.clock.named(to) });
}

/** Choose a time bin (null: the whole night); the signal goes there too. */
function chooseBin(k) {
  night.k = k === null ? null : Math.min(Math.max(k, 0), night.map.start_s.length - 1);
  show();
  if (night.k === null) night.signal?.show(0, night.facts.duration_s);
  else {
    const from = Math.max(night.map.start_s[night.k], 0);
    night.signal?.show(from, from + night.strips.binLength(night.k));
  }
  say(spoken());
}

function spoken() {
  const { k, site, map, facts } = night;
  const one = facts.sites.find((each) => each.site === site);
  if (!one) return timeWords(k);
  const counts = k === null ? map.bySite[site].night : map.bySite[site].bins;
  return `${timeWords(k)}. ${siteWords(one.label, counts, k ?? 0, k === null ? facts.duration_s : night.strips.binLength(k))}`;
}

/** Choose a site, or none if it is chosen already; its strip opens and the signal shows it. */
function chooseSite(site, toggles = true) {
  night.site = toggles && night.site === site ? null : site;
  show();
  if (night.site) night.signal?.showSite(site);
  say(spoken());
  document.dispatchEvent(new CustomEvent("site-chosen", { detail: { night: name, site: night.site } }));
}

async function chooseBins(binS) {
  const middle = night.k === null ? null : night.map.start_s[night.k] + 1;
  const map = await readMap(binS);
  problem("");
  Object.assign(night, { binS, map });
  writeBins();
  night.strips.map = night.map;
  night.k = middle === null ? null : night.strips.binAt(Math.max(middle, 0));
  show();
  say(t("night.bins_said", { bin: durationWords(binS) }));
}

function writeBins() {
  for (const button of id("bins").querySelectorAll("button"))
    button.setAttribute("aria-pressed", String(Number(button.dataset.bin) === night.binS));
}

function wire() {
  const step = (by) => chooseBin(night.k === null ? (by > 0 ? 0 : night.map.start_s.length - 1) : night.k + by);
  for (const button of id("bins").querySelectorAll("button"))
    button.addEventListener("click", () => chooseBins(Number(button.dataset.bin)).catch((error) => problem(error.message)));
  id("whole").addEventListener("click", () => chooseBin(null));
  id("earlier").addEventListener("click", () => step(-1));
  id("later").addEventListener("click", () => step(1));
  id("time").addEventListener("input", (event) => chooseBin(Number(event.target.value)));
  id("as-table").addEventListener("click", toTables);
  id("marks").addEventListener("click", (event) => {
    const mark = event.target.closest("[data-at]");
    if (mark) night.signal.centre(Number(mark.dataset.at), 30);
  });
  shortcut("ArrowLeft", t("night.earlier"), () => step(-1));
  shortcut("ArrowRight", t("night.later"), () => step(1));
  shortcut("w", t("night.to_whole_night"), () => chooseBin(null));
  shortcut("v", t("night.table"), toTables);
  night.facts.sites.slice(0, 9).forEach(({ site, label }, k) => shortcut(String(k + 1), t("night.key_site", { site: label }), () => chooseSite(site)));
}

function toTables() {
  const box = id("tables");
  box.hidden = !box.hidden;
  id("as-table").setAttribute("aria-pressed", String(!box.hidden));
  if (!box.hidden) writeTables(night.map, night.facts.sites, night.clock, night.k, timeWords(night.k), night.site);
}

async function readCoverage() {
  if (!night.facts.run) return;
  const rows = await get(at`/nights/${name}/coverage`, { run: query.get("run") });
  const coverage = {}; // of one answer, however many are under way
  rows.site.forEach((site, i) => {
    (coverage[site] ??= []).push([rows.start_s[i], rows.end_s[i], rows.kind[i], rows.wear_unconfirmed[i]]);
  });
  night.coverage = coverage;
  night.signal.cover = night.coverage;
  night.signal.redraw();
  if (night.map) show();
}

async function readMarks() {
  const { marks, damage, described, grown: changed, samples } = await get(at`/nights/${name}/marks`, { run: query.get("run"), show: true });
  const grown = changed && samples;
  Object.assign(night, { marks, grown });
  if (night.signal) {
    night.signal.marks = marks;
    night.signal.redraw();
  }
  writeMarks(marks, night.facts.sites, night.clock);
  const broken = night.map && !samples ? [t("night.only_counts")] : damage.length && night.signal ? [t("night.damage", { n: damage.length, first: damage[0] })] : [];
  if (!described) broken.push(t("night.not_described"));
  if (broken.length) problem(broken.join(" "), "lasting");
  if (night.map) {
    if (grown && !night.facts.being_written) offerSearch("grown", "find_again");
    show();
    writeLimits(night.facts, night.map, grown, PLACES);
  }
}

id("find").addEventListener("click", find);
document.addEventListener("labels-changed", async () => {
  try {
    const map = await readMap();
    problem("");
    if (night.strips) night.map = map;
    await readCoverage();
  } catch (error) {
    problem(error.message);
  }
});
