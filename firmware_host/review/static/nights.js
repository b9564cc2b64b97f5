// The list of nights: loading, choosing, finding twitches. Rows are made in nights_rows.js, months in nights_calendar.js.
import { at, get, send } from "./api.js";
import { months } from "./nights_calendar.js";
import { isUncounted, row, siteLabels, week } from "./nights_rows.js";
import { make, say } from "./page.js";
import { t } from "./texts.js";

const ROWS = 60;
const MONTHS = 6;
const WEEKS = 6;
const POLL_MS = 1000;
const AGAIN_MS = 30000; // what is being recorded may have ended
const $ = (id) => document.getElementById(id);

let list = null;
let rows = ROWS;
let shownMonths = MONTHS;
let weeks = WEEKS;
let asked = false;
let view = localStorage.getItem("nights-view") === "calendar" ? "calendar" : "list";
let site = "";
let polling = null;

async function load() {
  try {
    list = await get("/nights", { show: asked });
  } catch (error) {
    $("state").textContent = error.message;
    return;
  }
  const { nights, unreadable } = list;
  const found = nights.length ? t("nights.found", { n: nights.length }) : t("nights.none");
  $("state").textContent = [found, ...unreadable].join(" ");
  draw();
  follow();
}

function draw() {
  const { nights } = list;
  const focused = document.activeElement?.id;
  const waits = nights.filter((night) => night.showing === "on_request");
  $("ask").hidden = asked || !waits.length;
  drawWeeks();
  fillSites();
  $("choices").hidden = !nights.length;
  $("first-night").hidden = nights.length > 0 || list.unreadable.length > 0;
  const lacking = nights.filter(canBeSearched);
  $("find-all").hidden = lacking.length < 2;
  $("find-all").textContent = t("nights.find_all", { n: lacking.length });
  for (const name of ["list", "calendar"]) {
    $(`view-${name}`).setAttribute("aria-pressed", String(view === name));
    $(name).hidden = view !== name || !nights.length;
  }
  if (view === "list") {
    const act = { find: (night) => find([night]), stop };
    const open = [...$("list").querySelectorAll("details[open]")].map(({ id }) => id);
    $("twitches").textContent = t(site ? "nights.rate" : "nights.counted");
    $("list").querySelector("tbody").replaceChildren(...nights.slice(0, rows).map((night) => row(night, site, act)));
    for (const id of open) $(id)?.setAttribute("open", "");
    $("more").hidden = nights.length <= rows;
  } else {
    const drawn = months(nights, site, shownMonths);
    $("calendar").querySelector(".months").replaceChildren(...drawn.months);
    $("legend").replaceChildren(...drawn.legend);
    $("earlier").hidden = !drawn.more;
  }
  if (focused) $(focused)?.focus({ preventScroll: true });
}

function drawWeeks() {
  $("weeks").hidden = list.show !== "weekly";
  const cards = list.weeks.length ? list.weeks.slice(0, weeks).map(week) : [make("p", {}, t("nights.no_weeks"))];
  $("more-weeks").hidden = list.weeks.length <= weeks;
  $("weeks").querySelector(".cards").replaceChildren(...cards);
}

function fillSites() {
  const labels = siteLabels(list.nights);
  const names = [...labels.keys()].sort();
  if (!names.includes(site)) site = "";
  const options = ["", ...names].map((name) =>
    make("option", { value: name, selected: name === site }, labels.get(name) ?? t("nights.all_sites")),
  );
  $("site").replaceChildren(...options);
}

function canBeSearched(night) {
  return isUncounted(night) && !["waiting", "running"].includes(night.detection.state);
}

async function find(nights) {
  for (const night of nights) {
    try {
      night.detection = await send("POST", at`/nights/${night.night}/detection`, {});
    } catch (error) {
      night.detection = { ...night.detection, state: "failed", sentence: error.message };
    }
  }
  draw();
  follow();
}

async function stop(night) {
  try {
    await send("DELETE", at`/nights/${night.night}/detection`);
  } catch (error) {
    say(error.message); // it ended meanwhile
  }
  await load();
}

/** Ask how far searches are, as long as there are any. */
function follow() {
  clearTimeout(polling);
  const searching = list.nights.some((night) => ["waiting", "running"].includes(night.detection.state));
  if (searching) polling = setTimeout(poll, POLL_MS);
  else if (list.nights.some((night) => night.recording)) polling = setTimeout(load, AGAIN_MS);
}

async function poll() {
  try {
    const { detections } = await get("/detections");
    const known = new Map(detections.map((one) => [one.night, one]));
    let ended = false;
    for (const night of list.nights) {
      const now = known.get(night.night);
      if (!now) continue;
      ended ||= night.detection.state !== now.state && !["waiting", "running"].includes(now.state);
      if (now.state === "done" && night.detection.state === "running") say(t("nights.done", { night: night.night }));
      night.detection = now;
    }
    if (ended) return load();
    draw();
  } catch (error) {
    $("state").textContent = error.message;
  }
  follow();
}

function look(name) {
  view = name;
  localStorage.setItem("nights-view", name);
  draw();
}

$("view-list").addEventListener("click", () => look("list"));
$("view-calendar").addEventListener("click", () => look("calendar"));
$("site").addEventListener("change", (event) => {
  site = event.target.value;
  draw();
});
$("more").addEventListener("click", () => {
  rows += ROWS;
  draw();
});
$("more-weeks").addEventListener("click", () => {
  weeks += WEEKS;
  draw();
});
$("earlier").addEventListener("click", () => {
  shownMonths += MONTHS;
  draw();
});
$("find-all").addEventListener("click", () => find(list.nights.filter(canBeSearched)));
$("show").addEventListener("click", () => {
  asked = true;
  load();
});
await load();
