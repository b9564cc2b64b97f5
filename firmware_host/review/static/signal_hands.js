// The signal by hand: buttons, keys and the pointer. Whatever the pointer does, keys and buttons do as well.
import { shortcut } from "./page.js";
import { t } from "./texts.js";

const REACH_PX = 22;
const id = (name) => document.getElementById(name);

/** Connect a signal with its controls. */
export function useHands(signal) {
  const press = (name, action) => id(name).addEventListener("click", action);
  press("in", () => signal.zoom(0.5));
  press("out", () => signal.zoom(2));
  press("back", () => signal.pan(-0.5));
  press("forth", () => signal.pan(0.5));
  press("taller", () => signal.taller(0.5));
  press("flatter", () => signal.taller(2));
  press("event-before", () => signal.stepEvent(false));
  press("event-after", () => signal.stepEvent(true));
  press("choose-range", () => (signal.rangeS ? signal.chooseRange(null) : signal.chooseRange(signal.fromS, signal.toS)));
  press("axes", () => signal.setAxes(!signal.axes));
  press("candidates", () => signal.setCandidates(!signal.candidates));
  for (const button of id("spans").children)
    button.addEventListener("click", () => {
      const span = button.dataset.span === "all" ? signal.facts.duration_s : Number(button.dataset.span);
      signal.zoom(span / (signal.toS - signal.fromS));
    });
  id("go").addEventListener("submit", (event) => go(signal, event));
  shortcut("+", t("night.zoom_in"), () => signal.zoom(0.5));
  shortcut("-", t("night.zoom_out"), () => signal.zoom(2));
  shortcut("n", t("night.event_after"), () => signal.stepEvent(true), { repeats: true });
  shortcut("p", t("night.event_before"), () => signal.stepEvent(false), { repeats: true });
  shortcut("a", t("night.axes"), () => signal.setAxes(!signal.axes));
  shortcut("g", t("night.go_to"), () => id("go-time").focus());
  signal.view.addEventListener("keydown", (event) => key(signal, event));
  pointer(signal);
}

function go(signal, event) {
  event.preventDefault();
  const found = signal.clock.find(id("go-time").value);
  const said = id("go-said");
  if (!found?.length) {
    said.textContent = t(found ? "night.go_outside" : "night.go_no_time");
    return;
  }
  const middle = (signal.fromS + signal.toS) / 2;
  const next = found.find((s) => s > middle + 1e-3) ?? found[0];
  said.textContent = found.length > 1 ? t("night.go_twice") : "";
  signal.centre(next, Math.min(signal.toS - signal.fromS, 60));
}

function key(signal, event) {
  if (event.ctrlKey || event.altKey || event.metaKey) return;
  const far = event.shiftKey ? 0.5 : 0.1;
  const span = signal.toS - signal.fromS;
  const actions = {
    ArrowLeft: () => signal.pan(-far),
    ArrowRight: () => signal.pan(far),
    ArrowUp: () => signal.taller(0.5),
    ArrowDown: () => signal.taller(2),
    PageUp: () => signal.pan(-1),
    PageDown: () => signal.pan(1),
    Home: () => signal.show(0, span),
    End: () => signal.show(signal.facts.duration_s - span, signal.facts.duration_s),
    "=": () => signal.zoom(0.5),
    Enter: () => signal.chooseAt(signal.sites[0], (signal.fromS + signal.toS) / 2, span / 2),
  };
  if (!actions[event.key]) return;
  event.preventDefault();
  actions[event.key]();
}

function pointer(signal) {
  const { view } = signal;
  let down = null;
  view.addEventListener("pointerdown", (event) => {
    if (event.button !== 0 || !signal.shown) return;
    const { site } = signal.painter.traceAt(signal.shown, event.clientY - view.getBoundingClientRect().top);
    down = { x: event.clientX, fromS: signal.fromS, toS: signal.toS, s: signal.seconds(event.clientX), site, range: event.shiftKey, moved: false };
    view.setPointerCapture(event.pointerId);
  });
  view.addEventListener("pointermove", (event) => {
    if (!down) return;
    down.moved ||= Math.abs(event.clientX - down.x) > 5;
    if (!down.moved) return;
    if (down.range) {
      const s = signal.seconds(event.clientX);
      signal.rangeS = [Math.min(s, down.s), Math.max(s, down.s)];
      signal.rangeSite = down.site;
      return signal.redraw();
    }
    const perPixel = (down.toS - down.fromS) / (view.clientWidth - signal.painter.x(signal.shown, signal.shown.fromS));
    const by = (down.x - event.clientX) * perPixel;
    signal.show(down.fromS + by, down.toS + by);
  });
  const end = (event) => {
    if (!down) return;
    const was = down;
    down = null;
    // A range that is given up half-way is not the one that was chosen before either.
    if (event.type === "pointercancel") return was.moved && was.range && signal.chooseRange(null);
    if (was.moved && was.range) signal.chooseRange(...signal.rangeS, was.site);
    else if (!was.moved) signal.chooseAt(was.site, was.s, (REACH_PX * (signal.toS - signal.fromS)) / view.clientWidth);
  };
  view.addEventListener("pointerup", end);
  view.addEventListener("pointercancel", end);
  view.addEventListener(
    "wheel",
    (event) => {
      if (document.activeElement !== view && !event.shiftKey) return; // else the page could not be scrolled past it
      event.preventDefault();
      const sideways = Math.abs(event.deltaX) > Math.abs(event.deltaY);
      if (sideways) signal.pan(Math.sign(event.deltaX) * 0.08);
      else signal.zoom(event.deltaY > 0 ? 1.25 : 0.8, signal.seconds(event.clientX));
    },
    { passive: false },
  );
}
