// Drawing the signal around events: many laid over each other, or one with what was around it.
import { t } from "./texts.js";

const LEFT = 52;
const BOTTOM = 20;
const LOW_MG = 2; // nothing is drawn larger than this would be

/** A canvas that draws itself anew when its size or the page's colours change. */
export class Picture {
  constructor(canvas) {
    this.canvas = canvas;
    this.draw = null;
    new ResizeObserver(() => this.again()).observe(canvas);
    document.addEventListener("theme", () => this.again());
  }

  /** `draw(pen, width, height, colour)` draws in CSS pixels; `words` say what is to be seen. */
  show(draw, words) {
    this.draw = draw;
    // A picture of nothing is nothing for those who listen.
    for (const [name, value] of words ? [["role", "img"], ["aria-label", words]] : [["aria-hidden", "true"]]) this.canvas.setAttribute(name, value);
    for (const name of words ? ["aria-hidden"] : ["role", "aria-label"]) this.canvas.removeAttribute(name);
    this.again();
  }

  clear(words = "") {
    this.show(null, words);
  }

  again() {
    const { clientWidth: width, clientHeight: height } = this.canvas;
    if (!width || !height) return;
    const ratio = devicePixelRatio || 1;
    this.canvas.width = Math.round(width * ratio);
    this.canvas.height = Math.round(height * ratio);
    const pen = this.canvas.getContext("2d");
    pen.scale(ratio, ratio);
    const style = getComputedStyle(this.canvas);
    this.draw?.(pen, width, height, (name) => style.getPropertyValue(`--${name}`).trim());
  }
}

/** Return a function for `Picture.show` that lays the members of a pile over each other; `small` without scales. */
export function overlaid({ from_s: fromS, rate_hz: rateHz, mean_mg: mean, waves }, small = false) {
  const toS = fromS + ((waves[0]?.mg.length ?? 2) - 1) / rateHz;
  const top = usual(waves.map((one) => largest(one.mg)));
  return (pen, width, height, colour) => {
    const frame = new Frame(width, height, fromS, toS, top, small);
    if (!small) frame.scales(pen, colour);
    pen.lineWidth = small ? 0.75 : 1;
    for (const counted of [false, true]) {
      pen.strokeStyle = colour(counted ? "accent" : "control");
      pen.globalAlpha = counted ? 0.4 : 0.5;
      pen.setLineDash(counted || small ? [] : [3, 3]);
      for (const one of waves) if (one.counted === counted) frame.line(pen, one.mg, fromS, rateHz);
    }
    pen.setLineDash([]);
    pen.globalAlpha = 1;
    pen.strokeStyle = colour("ink");
    pen.lineWidth = small ? 1.25 : 2;
    if (mean.length && waves.length > 1) frame.line(pen, mean, fromS, rateHz);
  };
}

/** Return a moment's signal; throws a sentence where there is none: an empty picture would say nothing. */
export function thatIsThere(wave) {
  if (wave.main_mg.every((mg) => mg === null)) throw new Error(t("night.no_signal"));
  return wave;
}

/** Return a function for `Picture.show` that draws one moment: three axes, and the movement along its own direction. */
export function around(wave, { marked = true, axes = true } = {}) {
  const { from_s: fromS, rate_hz: rateHz } = wave;
  const toS = fromS + (wave.main_mg.length - 1) / rateHz;
  const top = largest([...wave.x_mg, ...wave.y_mg, ...wave.z_mg, ...wave.main_mg]);
  return (pen, width, height, colour) => {
    const frame = new Frame(width, height, fromS, toS, top, false);
    frame.scales(pen, colour);
    if (marked) {
      pen.fillStyle = colour("tint");
      const [x0, x1] = [frame.x(-0.1), frame.x(0.2)];
      pen.fillRect(x0, 0, Math.max(x1 - x0, 3), frame.bottom);
      frame.zero(pen, colour);
    }
    if (axes) {
      pen.lineWidth = 1;
      ["x_mg", "y_mg", "z_mg"].forEach((name, k) => {
        pen.strokeStyle = colour("control");
        pen.setLineDash([[], [5, 3], [1.5, 2.5]][k]);
        frame.line(pen, wave[name], fromS, rateHz);
      });
      pen.setLineDash([]);
    }
    pen.strokeStyle = colour("accent");
    pen.lineWidth = 1.75;
    frame.line(pen, wave.main_mg, fromS, rateHz);
    if (marked) frame.mark(pen, colour);
  };
}

class Frame {
  constructor(width, height, fromS, toS, top, small) {
    this.left = small ? 0 : LEFT;
    this.bottom = small ? height : height - BOTTOM;
    this.width = width;
    this.fromS = fromS;
    this.toS = toS;
    this.top = Math.max(top, LOW_MG) * 1.08;
  }

  x(s) {
    return this.left + ((s - this.fromS) / (this.toS - this.fromS)) * (this.width - this.left);
  }

  y(mg) {
    return (this.bottom / 2) * (1 - Math.min(Math.max(mg / this.top, -1), 1));
  }

  line(pen, values, fromS, rateHz) {
    pen.beginPath();
    let down = false;
    values.forEach((value, k) => {
      if (value === null) down = false;
      else {
        const [x, y] = [this.x(fromS + k / rateHz), this.y(value)];
        if (down) pen.lineTo(x, y);
        else pen.moveTo(x, y);
        down = true;
      }
    });
    pen.stroke();
  }

  zero(pen, colour) {
    pen.strokeStyle = colour("line");
    pen.lineWidth = 1;
    pen.beginPath();
    pen.moveTo(this.left, this.y(0));
    pen.lineTo(this.width, this.y(0));
    pen.stroke();
  }

  scales(pen, colour) {
    pen.font = "12px system-ui, sans-serif";
    pen.fillStyle = colour("quiet");
    pen.textBaseline = "middle";
    pen.textAlign = "right";
    this.zero(pen, colour);
    const step = round(this.top / 1.6);
    for (let k = -2; k <= 2; k++) {
      const mg = k * step;
      if (Math.abs(mg) > this.top * 0.93) continue;
      pen.beginPath();
      pen.moveTo(this.left, this.y(mg));
      pen.lineTo(this.width, this.y(mg));
      pen.stroke();
      const text = trimmed(mg);
      pen.fillText(mg > 0 && (k + 1) * step > this.top * 0.93 ? t("waves.mg", { mg: text }) : text, this.left - 5, this.y(mg));
    }
    pen.textBaseline = "alphabetic";
    pen.textAlign = "center";
    const span = round((this.toS - this.fromS) / Math.max(2, Math.floor(this.width / 160)));
    for (let k = Math.ceil(this.fromS / span); k * span < this.toS; k++) {
      const s = k * span;
      const x = this.x(s);
      if (x > this.left + 12 && x < this.width - 24) pen.fillText(s === 0 ? "0" : t("waves.s", { s: trimmed(s) }), x, this.bottom + 15);
    }
  }

  /** A triangle where the event is. */
  mark(pen, colour) {
    const x = this.x(0);
    pen.fillStyle = colour("ink");
    pen.beginPath();
    pen.moveTo(x - 6, 0);
    pen.lineTo(x + 6, 0);
    pen.lineTo(x, 9);
    pen.fill();
  }
}

/** Return 1, 2 or 5 times a power of ten, at most a number. */
function round(most) {
  const power = 10 ** Math.floor(Math.log10(most));
  const step = [5, 2, 1].find((one) => one * power <= most * (1 + 1e-9)) * power;
  return Number(step.toPrecision(1));
}

const trimmed = (number) => String(Number(number.toFixed(2))).replace("-", "−");
const largest = (values) => values.reduce((most, one) => Math.max(most, Math.abs(one ?? 0)), 0);

/** Return a height that most waves stay under: single large ones must not flatten the others. */
function usual(heights) {
  const sorted = [...heights].sort((a, b) => a - b);
  return sorted.length ? sorted[Math.floor((sorted.length - 1) * 0.9)] : 0;
}
