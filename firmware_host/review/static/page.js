// What every page has: colours, the list of keys, a voice for screen readers, and a way to make elements.
import { t } from "./texts.js";

/** Have a screen reader say a text when it has time. */
export function say(text) {
  const said = document.getElementById("said");
  said.textContent = "";
  setTimeout(() => (said.textContent = text), 50); // the same text again is said again
}

/** Make an element. Texts are only ever text; `on...` attributes are functions. */
export function make(name, attributes = {}, ...children) {
  const svg = ["svg", "g", "path", "rect", "circle", "line", "text", "title", "polyline"].includes(name);
  const element = svg ? document.createElementNS("http://www.w3.org/2000/svg", name) : document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) {
    if (key.startsWith("on")) element.addEventListener(key.slice(2), value);
    else if (value === true) element.setAttribute(key, "");
    else if (value !== false && value !== null && value !== undefined) element.setAttribute(key, value);
  }
  element.append(...children.flat(Infinity).filter((child) => child !== null && child !== undefined));
  return element;
}

const keys = new Map();
const STEPS = new Set(["ArrowLeft", "ArrowRight", "ArrowUp", "ArrowDown", "+", "-"]); // to go far is to hold them
const off = () => localStorage.getItem("keys") === "off";

/**
 * Let a single key do something; it is listed in the keyboard help. Never the only way to do it.
 * `key` as in KeyboardEvent.key, `text` what it does; `repeats` where holding the key does it again and again.
 */
export function shortcut(key, text, action, { repeats = STEPS.has(key) } = {}) {
  keys.set(key, { text, action, repeats });
}

/** Tell whether arrow keys scroll what has the focus: a table that is wider than its box. */
function scrolls({ target, key }) {
  const box = key.startsWith("Arrow") && target.closest?.(".scroll");
  return Boolean(box) && box.scrollWidth > box.clientWidth;
}

// A hand that cannot let go in time holds a key too long: what it does, it does once. Of a button that has the focus too.
document.addEventListener(
  "keydown",
  (event) => {
    const pressed = event.key === "Enter" ? "button, a, summary, input, select, [role=button]" : event.key === " " ? "button, summary, [role=button]" : "";
    if (!event.repeat || !pressed || !event.target.closest?.(pressed)) return;
    event.preventDefault();
    event.stopPropagation();
  },
  true,
);

document.addEventListener("keydown", (event) => {
  const typing = event.target.closest?.("input:not([type=checkbox], [type=radio]), textarea, select, [contenteditable]");
  if (event.defaultPrevented || event.ctrlKey || event.altKey || event.metaKey || typing || off()) return;
  if (document.querySelector("dialog[open]")) return;
  const known = keys.get(event.key);
  if (!known || scrolls(event)) return;
  event.preventDefault();
  if (!event.repeat || known.repeats) known.action(event);
});

function showKeys() {
  const rows = [
    ["Tab", t("layout.keys_tab")],
    ["Enter", t("layout.keys_enter")],
    ["Esc", t("layout.keys_escape")],
    ...[...keys].map(([key, { text }]) => [names[key] ?? key, text]),
  ].map(([key, text]) => make("tr", {}, make("th", { scope: "row" }, make("kbd", {}, key)), make("td", {}, text)));
  const switched = make("input", {
    type: "checkbox",
    checked: !off(),
    onchange: (event) => localStorage.setItem("keys", event.target.checked ? "on" : "off"),
  });
  const dialog = make(
    "dialog",
    { "aria-labelledby": "keys-title", onclose: () => dialog.remove() },
    make("h2", { id: "keys-title" }, t("layout.keys_title")),
    make("table", {}, make("tbody", {}, rows)),
    make("label", { class: "check" }, switched, t("layout.keys_on")),
    make("form", { method: "dialog" }, make("button", {}, t("layout.close"))),
  );
  document.body.append(dialog);
  dialog.showModal();
}

const names = { ArrowLeft: "←", ArrowRight: "→", ArrowUp: "↑", ArrowDown: "↓", " ": "Space", Escape: "Esc" };

shortcut("?", t("layout.keys_help"), showKeys);
document.getElementById("keys").addEventListener("click", showKeys);
const theme = document.getElementById("theme");
theme.value = localStorage.getItem("theme") ?? "";
theme.addEventListener("change", () => {
  if (theme.value) localStorage.setItem("theme", theme.value);
  else localStorage.removeItem("theme");
  document.dispatchEvent(new Event("theme-chosen"));
});
