// Choosing where the sensors sit and which is which.
import { send } from "./api.js";
import { make } from "./page.js";
import { t } from "./texts.js";

const at = (id) => document.getElementById(id);
const boxes = [...document.querySelectorAll("#sites input")];
const MANY = 6;
let found = [];

/** Return the places that are chosen: site and label. */
export function chosen() {
  return boxes.filter((box) => box.checked).map((box) => ({ site: box.value, label: box.dataset.label }));
}

/** Choose what a set-up has. */
export function choose(setup) {
  const sites = new Set(setup.sensors.map((one) => one.site));
  for (const box of boxes) box.checked = sites.has(box.value);
  at("how").querySelector(`[value=${setup.virtual ? "trial" : "tap"}]`).checked = true;
  choosing();
  for (const one of setup.sensors) {
    const field = at(`placement-${one.site}`);
    if (field) field.value = one.placement;
  }
}

/** Offer sensors that a scan has found. */
export function offer(sensors) {
  found = sensors;
  at("scan-result").textContent = t(sensors.length ? "tonight.scan_found" : "tonight.scan_none", { n: sensors.length });
  choosing();
}

/** Return what to set up, or throw an error that says what is missing. */
export function order() {
  const how = way();
  const sensors = chosen().map(({ site, label }) => {
    const who = how === "name" ? at(`who-${site}`)?.value : "";
    if (how === "name" && !who) throw new Error(t("tonight.sensor_missing_choice", { label }));
    return { site, who, placement: at(`placement-${site}`).value.trim() };
  });
  return { sensors, trial: how === "trial" };
}

function way() {
  return at("how").querySelector(":checked").value;
}

/** Show what follows from what is chosen. */
function choosing() {
  const places = chosen();
  for (const path of document.querySelectorAll(".figures .site"))
    path.classList.toggle("chosen", places.some((one) => one.site === path.dataset.site));
  const listed = places.map((one) => one.label).join(", ");
  const many = places.length > MANY ? ` ${t("tonight.chosen_many")}` : "";
  const text = places.length ? t("tonight.chosen", { n: places.length, places: listed }) + many : t("tonight.chosen_none");
  if (at("chosen").textContent !== text) at("chosen").textContent = text;
  at("do-setup").disabled = !places.length;
  for (const group of document.querySelectorAll("#sites details")) {
    const n = group.querySelectorAll("input:checked").length;
    const name = group.dataset.region;
    group.querySelector("summary").textContent = n ? t("tonight.region_chosen", { name, n }) : name;
  }
  at("by-name").hidden = way() !== "name";
  at("how-note").textContent = way() === "name" ? "" : t(`tonight.how_${way()}_note`);
  keep(at("names"), "who", places, names);
  keep(at("placement-fields"), "placement", places, placement);
  at("placements").hidden = !places.length;
}

/** Show one field a place; what was typed or chosen stays. */
function keep(box, name, places, field) {
  const before = new Map([...box.querySelectorAll("[id]")].map((one) => [one.id, one.value]));
  box.replaceChildren(...places.map(field).filter(Boolean));
  for (const one of box.querySelectorAll("[id]")) if (before.get(one.id)) one.value = before.get(one.id);
}

function names({ site, label }) {
  if (!found.length) return null;
  const options = found.map((one) => {
    const called = [one.name || one.address, one.label, one.rssi_dbm && `${one.rssi_dbm} dBm`];
    return make("option", { value: one.address, selected: one.site === site }, called.filter(Boolean).join(" · "));
  });
  const first = make("option", { value: "" }, t("tonight.sensor_choose"));
  return make("label", {}, t("tonight.sensor_for", { label }), make("select", { id: `who-${site}` }, first, options));
}

function placement({ site, label }) {
  const hint = t("tonight.placement_hint");
  const input = make("input", { id: `placement-${site}`, maxlength: 200, placeholder: hint, autocomplete: "off" });
  return make("label", {}, t("tonight.placement_for", { label }), input);
}

for (const box of [...boxes, ...at("how").querySelectorAll("input")]) box.addEventListener("change", choosing);
for (const path of document.querySelectorAll(".figures .site"))
  path.addEventListener("click", () => boxes.find((box) => box.value === path.dataset.site).click());

/** Start looking for sensors. */
export function scan() {
  found = [];
  return send("POST", "/tonight/scan", {});
}

choosing();
