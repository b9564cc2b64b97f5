// The diary of a night: every answer is kept as it is given, and pressed again it is taken back.
import { at, get, send } from "./api.js";
import { make, say } from "./page.js";
import { t } from "./texts.js";

const PAUSE_MS = 800; // of typing, before a text is kept
const night = document.body.dataset.night;
const state = document.getElementById("state");
const form = document.getElementById("form");
const open = new Map(); // what is not kept yet, by field
let sending = null;

form.addEventListener("submit", (event) => event.preventDefault());
addEventListener("pagehide", () => void keep(true));
try {
  const diary = await get(at`/nights/${night}/diary`);
  form.replaceChildren(...diary.fields.map((field) => (field.levels.length ? choices(field, diary) : text(field, diary))));
  form.querySelectorAll("textarea").forEach(grow);
  state.textContent = [diary.entries ? t("diary.goes_on") : t("diary.empty"), ...diary.unreadable].join(" ");
} catch (error) {
  state.textContent = error.message;
}

function choices({ name, levels }, { values }) {
  const buttons = levels.map((level) => {
    const pressed = String(values[name] === level);
    const press = () => choose(name, level, buttons);
    return make("button", { type: "button", "aria-pressed": pressed, onclick: press, "data-level": level }, t(`diary.level_${level}`));
  });
  return make(
    "fieldset",
    { "data-field": name },
    make("legend", {}, t(`diary.field_${name}`)),
    make("div", { class: "choices" }, buttons),
  );
}

function choose(name, level, buttons) {
  const was = buttons.find((one) => one.dataset.level === level).getAttribute("aria-pressed") === "true";
  for (const one of buttons) one.setAttribute("aria-pressed", String(!was && one.dataset.level === level));
  open.set(name, was ? "" : level);
  void keep();
}

/** Make a box as high as its text, where the browser does not do so by itself. */
function grow(area) {
  if (CSS.supports("field-sizing", "content")) return;
  area.style.height = "auto";
  area.style.height = `${area.scrollHeight + area.offsetHeight - area.clientHeight}px`;
}

function text({ name }, { values }) {
  let waiting;
  const changed = (event) => {
    open.set(name, event.target.value);
    grow(event.target);
    state.textContent = t("diary.not_kept");
    clearTimeout(waiting);
    waiting = setTimeout(keep, PAUSE_MS);
  };
  const area = make("textarea", { id: `field-${name}`, rows: 1, maxlength: 500, oninput: changed, onchange: () => void keep() });
  area.value = values[name] ?? "";
  const wide = name === "note" ? "text wide" : "text";
  return make("div", { class: wide, "data-field": name }, make("label", { for: area.id }, t(`diary.field_${name}`)), area);
}

/** Keep what is not kept yet: one request at a time, so that the last answer holds. */
async function keep(leaving = false) {
  if (!open.size || (sending && !leaving)) return;
  const values = Object.fromEntries(open);
  open.clear();
  try {
    sending = send("PUT", at`/nights/${night}/diary`, { values });
    await sending;
    state.textContent = t("diary.kept");
    say(t("diary.kept"));
  } catch (error) {
    for (const [name, value] of Object.entries(values)) if (!open.has(name)) open.set(name, value);
    state.textContent = error.message;
    sending = null;
    return;
  }
  sending = null;
  if (open.size) await keep();
}
