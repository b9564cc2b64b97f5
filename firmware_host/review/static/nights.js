import { get } from "./api.js";
import { make } from "./page.js";
import { t } from "./texts.js";

const state = document.getElementById("state");
try {
  const { nights, unreadable } = await get("/nights");
  const table = document.getElementById("nights");
  table.tBodies[0].replaceChildren(...nights.map(row));
  table.hidden = !nights.length;
  state.textContent = [nights.length ? t("nights.found", { n: nights.length }) : t("nights.none"), ...unreadable].join(" ");
} catch (error) {
  state.textContent = error.message;
}

function row(night) {
  const name = make("a", { href: `/night/${encodeURIComponent(night.night)}` }, night.start.slice(0, 16).replace("T", " "));
  return make("tr", {}, make("th", { scope: "row" }, name), make("td", {}, night.sites.join(", ")), make("td", {}, night.origin));
}
