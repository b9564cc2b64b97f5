// Drawing the signal on a canvas: traces, what the time was good for, and the events.
import { t } from "./texts.js";
import { accelerationWords } from "./night_words.js";
import { LEFT, MARKS, drawEvents } from "./signal_symbols.js";
import { CHANNELS, Columns, RAW } from "./signal_tiles.js";

const AXIS = 26;
const NAME = 22;
const GAP = 12;
const PARTED = 12; // between the band and the axes
const BAND = 3;
const LINE_SAMPLES = 1.5; // a pixel: with more of them an area is drawn
const CLOSE_S = 120;
const NICE = [1, 2, 5, 10];

/** Return the heights of the traces: fewer sites, taller ones. */
export function layout(sites, axes) {
  const band = sites <= 1 ? (axes ? 150 : 210) : sites === 2 ? 120 : 80;
  const raw = axes ? band + PARTED : 0;
  const one = NAME + MARKS + band + raw + GAP;
  return { band, raw, one, height: AXIS + Math.max(sites, 1) * one };
}

/** Return the next of 1, 2, 5 times a power of ten. */
export function nice(value) {
  const power = 10 ** Math.floor(Math.log10(Math.max(value, 1e-9)));
  return NICE.find((one) => one * power >= value * 0.999) * power;
}

/** Return the page's colours, as they are now. */
export function palette() {
  const style = getComputedStyle(document.documentElement);
  const of = (name) => style.getPropertyValue(`--${name}`).trim();
  return {
    ink: of("ink"), quiet: of("quiet"), line: of("line"), surface: of("surface"), trace: of("trace"), accent: of("accent"),
    axes: [of("axis-x"), of("axis-y"), of("axis-z")], hatch: of("hatch"), tint: of("tint"), event: of("event"), valid: of("valid"),
  };
}

/** Return a text, shortened where it is wider than there is room. */
export function fitted(context, text, width) {
  if (context.measureText(text).width <= width) return text;
  let n = text.length - 1;
  while (n > 1 && context.measureText(`${text.slice(0, n)}…`).width > width) n--;
  return `${text.slice(0, n).trimEnd()}…`;
}

export class Painter {
  constructor(canvas) {
    this.canvas = canvas;
    this.context = canvas.getContext("2d");
    this.colours = palette();
  }

  /** Make the canvas as large as its box, in the screen's own pixels. */
  size(width, height) {
    const ratio = window.devicePixelRatio || 1;
    const [w, h] = [Math.round(width * ratio), Math.round(height * ratio)];
    if (this.canvas.width !== w || this.canvas.height !== h) {
      this.canvas.width = w;
      this.canvas.height = h;
      this.canvas.style.height = `${height}px`;
      this.columns = new Columns(Math.max(Math.round((width - LEFT) * ratio), 1));
      this.pattern = null;
    }
    Object.assign(this, { width, height, ratio });
    this.context.setTransform(ratio, 0, 0, ratio, 0, 0);
  }

  recolour() {
    this.colours = palette();
    this.pattern = null;
  }

  x(view, s) {
    return LEFT + ((this.width - LEFT) * (s - view.fromS)) / (view.toS - view.fromS);
  }

  /** Draw a view; true if all of it came from the level that was wished. */
  draw(view) {
    const { context, colours } = this;
    context.fillStyle = colours.surface;
    context.fillRect(0, 0, this.width, this.height);
    context.font = "12px system-ui, sans-serif";
    context.textBaseline = "alphabetic";
    this.drawAxis(view);
    this.drawMarks(view);
    let whole = true;
    view.traces.forEach((trace, k) => {
      const top = AXIS + k * view.layout.one;
      this.drawCover(view, trace, top);
      whole = this.drawTrace(view, trace, top) && whole;
      drawEvents(this, view, trace, top + NAME + MARKS);
      this.drawName(view, trace, top);
    });
    view.traces.forEach((trace, k) => {
      if (view.rangeS && trace.site === view.rangeSite) this.drawRange(view, AXIS + k * view.layout.one);
    });
    return whole;
  }

  drawAxis(view) {
    const { context, colours } = this;
    context.strokeStyle = colours.line;
    context.fillStyle = colours.quiet;
    context.textAlign = "center";
    context.lineWidth = 1;
    context.beginPath();
    const most = Math.max(Math.floor((this.width - LEFT) / (view.toS - view.fromS < 12 ? 90 : 76)), 2);
    for (const tick of view.clock.ticks(view.fromS, view.toS, most)) {
      const x = Math.round(this.x(view, tick.s)) + 0.5;
      context.moveTo(x, AXIS - 4);
      context.lineTo(x, this.height - 4);
      context.fillText(tick.label, Math.min(Math.max(x, LEFT + 14), this.width - 26), 15);
    }
    context.stroke();
    context.setLineDash([3, 3]);
    context.strokeStyle = colours.quiet;
    context.beginPath();
    for (const { s } of view.clock.changes()) {
      if (s < view.fromS || s > view.toS) continue;
      context.moveTo(this.x(view, s), AXIS - 4);
      context.lineTo(this.x(view, s), this.height);
    }
    context.stroke();
    context.setLineDash([]);
  }

  /** Mark on the axis when somebody felt something. */
  drawMarks(view) {
    const { context, colours } = this;
    context.fillStyle = colours.ink;
    for (const { at_s: s } of view.marks) {
      if (s < view.fromS || s > view.toS) continue;
      const x = this.x(view, s);
      context.beginPath();
      context.moveTo(x, AXIS - 1);
      context.lineTo(x - 5, AXIS - 9);
      context.lineTo(x + 5, AXIS - 9);
      context.fill();
    }
  }

  drawName(view, trace, top) {
    const { context, colours } = this;
    context.textAlign = "left";
    context.fillStyle = colours.ink;
    context.font = "600 13px system-ui, sans-serif";
    const label = fitted(context, trace.label, this.width - LEFT);
    context.fillText(label, LEFT, top + 15);
    const after = LEFT + context.measureText(label).width + 12;
    context.font = "12px system-ui, sans-serif";
    context.fillStyle = colours.quiet;
    if (after + context.measureText(trace.bandWords).width < this.width) context.fillText(trace.bandWords, after, top + 15);
  }

  /** Hatch what was not observed, and say why where there is room. */
  drawCover(view, trace, top) {
    const { context, colours } = this;
    const [y, height] = [top + NAME + MARKS, view.layout.band + view.layout.raw];
    const none = trace.cover.filter(([from, to, kind]) => kind !== "valid" && to > view.fromS && from < view.toS);
    context.textAlign = "center";
    for (const [from, to, kind] of none) {
      const [a, b] = [Math.max(this.x(view, from), LEFT), Math.min(this.x(view, to), this.width)];
      if (b - a < 0.3) continue;
      context.fillStyle = this.hatch();
      context.fillRect(a, y, b - a, height);
      if (b - a > 84) {
        context.fillStyle = colours.quiet;
        context.fillText(t(`night.kind_${kind}`), (a + b) / 2, y + 14);
      }
    }
  }

  hatch() {
    if (!this.pattern) {
      const step = Math.round(6 * this.ratio);
      const tile = new OffscreenCanvas(step, step);
      const on = tile.getContext("2d");
      on.strokeStyle = this.colours.hatch;
      on.lineWidth = 0.7 * this.ratio;
      on.beginPath();
      for (const k of [-1, 0, 1]) {
        on.moveTo(k * step - 1, step + 1);
        on.lineTo((k + 1) * step + 1, -1);
      }
      on.stroke();
      this.pattern = this.context.createPattern(tile, "repeat");
      this.pattern.setTransform(new DOMMatrix().scale(1 / this.ratio));
    }
    return this.pattern;
  }

  drawTrace(view, trace, top) {
    const y = top + NAME + MARKS;
    const { band, raw } = view.layout;
    const whole = this.drawBand(view, trace, y, band);
    return raw ? this.drawAxes(view, trace, y + band + PARTED, raw - PARTED) && whole : whole;
  }

  drawBand(view, trace, y, height) {
    const { colours } = this;
    const whole = this.columns.fill(view.tiles, trace.site, BAND, view.level, view);
    const base = y + height - 4;
    const topMg = this.top(view, trace);
    const perMg = (height - 10) / topMg;
    this.scale([[0, base], [topMg / 2, base - (topMg / 2) * perMg], [topMg, base - topMg * perMg]], accelerationWords);
    this.shape(view, trace.site, BAND, colours.trace, (mg) => Math.max(base - mg * perMg, y + 1));
    return whole;
  }

  /** Return the top of a trace: that of the night, in a close view less if nothing reaches so high. */
  top(view, trace) {
    if (view.spanS > CLOSE_S) return trace.topMg;
    let most = 0;
    for (const mg of this.columns.high) if (mg > most) most = mg;
    return Math.max(Math.min(nice(most * 1.1 * trace.gain), trace.topMg), 2);
  }

  drawAxes(view, trace, y, height) {
    const { colours, context } = this;
    const parts = [];
    let [spread, whole] = [1, true];
    for (let channel = 0; channel < CHANNELS - 1; channel++) {
      whole = this.columns.fill(view.tiles, trace.site, channel, view.level, view) && whole;
      const middle = this.middle();
      parts.push(middle);
      spread = Math.max(spread, this.reach(middle));
    }
    spread = nice(spread);
    const centre = y + height / 2;
    const perMg = (height / 2 - 6) / spread;
    this.scale([[0, centre], [spread, centre - spread * perMg], [-spread, centre + spread * perMg]], (mg) => (mg > 0 ? `+${accelerationWords(mg)}` : accelerationWords(mg)));
    for (let channel = 0; channel < CHANNELS - 1; channel++) {
      this.columns.fill(view.tiles, trace.site, channel, view.level, view);
      const to = (mg) => Math.min(Math.max(centre - (mg - parts[channel]) * perMg, y + 1), y + height - 1);
      context.globalAlpha = 0.8; // none hides the others
      this.shape(view, trace.site, channel, colours.axes[channel], to);
      context.globalAlpha = 1;
      context.fillStyle = colours.axes[channel];
      context.textAlign = "left";
      context.font = "600 12px system-ui, sans-serif";
      context.fillText("xyz"[channel], LEFT + 6 + 14 * channel, y + 13);
      context.font = "12px system-ui, sans-serif";
    }
    return whole;
  }

  /** Return the middle of the columns, as one number for the view. */
  middle() {
    const middles = [];
    const { low, high, width } = this.columns;
    const step = Math.max(Math.floor(width / 200), 1);
    for (let at = 0; at < width; at += step) if (low[at] <= high[at]) middles.push((low[at] + high[at]) / 2);
    middles.sort((a, b) => a - b);
    return middles[middles.length >> 1] ?? 0;
  }

  reach(middle) {
    const { low, high, width } = this.columns;
    let most = 0;
    for (let at = 0; at < width; at++) if (low[at] <= high[at]) most = Math.max(most, high[at] - middle, middle - low[at]);
    return most;
  }

  scale(levels, words) {
    const { context, colours } = this;
    context.strokeStyle = colours.line;
    context.fillStyle = colours.quiet;
    context.textAlign = "right";
    context.lineWidth = 1;
    context.beginPath();
    for (const [mg, y] of levels) {
      context.moveTo(LEFT, Math.round(y) + 0.5);
      context.lineTo(this.width, Math.round(y) + 0.5);
      context.fillText(words(mg), LEFT - 8, y + 4);
    }
    context.stroke();
  }

  /** Draw a channel: from smallest to largest of each column, or as a line where samples are far apart. */
  shape(view, site, channel, colour, to) {
    const { context } = this;
    context.strokeStyle = context.fillStyle = colour;
    context.lineWidth = 1; // drawn several times as fast as any other
    context.lineJoin = "bevel";
    if (view.level === RAW && this.line(view, site, channel, to)) return;
    const { low, high, width } = this.columns;
    context.beginPath();
    for (let at = 0; at < width; ) {
      if (!(low[at] <= high[at])) {
        at++;
        continue;
      }
      let end = at;
      while (end < width && low[end] <= high[end]) end++;
      context.moveTo(LEFT + at / this.ratio, to(high[at]));
      for (let k = at; k < end; k++) context.lineTo(LEFT + (k + 0.5) / this.ratio, to(high[k]) - 0.3);
      for (let k = end - 1; k >= at; k--) context.lineTo(LEFT + (k + 0.5) / this.ratio, to(low[k]) + 0.3);
      context.closePath();
      at = end;
    }
    context.fill();
  }

  line(view, site, channel, to) {
    const length = view.tiles.length(RAW);
    const [first, last] = [Math.max(Math.floor(view.fromS / length), 0), Math.floor(view.toS / length)];
    const found = [];
    let samples = 0;
    for (let index = first; index <= last; index++) {
      const tile = view.tiles.tile(site, RAW, index);
      if (!tile) return false;
      found.push(tile);
      samples += tile.n;
    }
    const shown = (samples * view.spanS) / (length * found.length);
    if (shown > LINE_SAMPLES * this.columns.width) return false;
    const { context } = this;
    context.save();
    context.beginPath();
    context.rect(LEFT, 0, this.width - LEFT, this.height);
    context.clip();
    context.beginPath();
    for (const { fromS, rows, n } of found) {
      let down = false;
      for (let i = 0; i < n; i++) {
        const value = rows[i * 5 + 1 + channel];
        if (Number.isNaN(value)) down = false;
        else if (down) context.lineTo(this.x(view, fromS + rows[i * 5]), to(value));
        else {
          context.moveTo(this.x(view, fromS + rows[i * 5]), to(value));
          down = true;
        }
      }
    }
    context.stroke();
    context.restore();
    return true;
  }

  drawRange(view, top) {
    const { context, colours } = this;
    const [a, b] = view.rangeS.map((s) => Math.min(Math.max(this.x(view, s), LEFT), this.width));
    context.globalAlpha = 0.14;
    context.fillStyle = colours.accent;
    context.fillRect(a, top, b - a, view.layout.one);
    context.globalAlpha = 1;
  }

  /** Return which trace stands at a height. */
  traceAt(view, y) {
    return view.traces[Math.min(Math.max(Math.floor((y - AXIS) / view.layout.one), 0), view.traces.length - 1)];
  }
}
