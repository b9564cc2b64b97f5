// The signal's data: tiles of bins in levels of ever longer bins, and of samples for close views, kept once fetched.
import { at, get } from "./api.js";

export const RAW = -1; // the level of samples
export const CHANNELS = 4; // x, y, z, band
const BINS = 512; // in a tile
const RAW_BASES = 128; // bins of the lowest level that a tile of samples lasts
const MOST_KEPT = 1200;
const MOST_AT_ONCE = 24;
const AGAIN_MS = [5000, 60_000]; // what could not be read is asked for again after so long at first, at last
const BY_HAND_MS = 1000; // a view that is dragged would ask for it with every movement

export class Tiles {
  /** `state` is what /signal answers; `arrived()` is called when new tiles are there, with an error if they are not. */
  constructor(night, state, arrived) {
    Object.assign(this, { night, state, arrived, kept: new Map(), flight: null, failed: null, waitMs: 0 });
  }

  /** Return how long a tile is. */
  length(level) {
    return level === RAW ? this.state.base_s * RAW_BASES : this.state.base_s * this.state.factor ** level * BINS;
  }

  /** Return the level to draw from: bins of about a pixel; samples where the shortest bins would be coarse. */
  levelFor(secondsPerPixel) {
    if (secondsPerPixel < this.state.base_s / 3) return RAW;
    let level = 0;
    while (level + 1 < this.state.levels && this.state.base_s * this.state.factor ** (level + 1) <= 1.5 * secondsPerPixel) level++;
    return this.state.ready ? level : RAW;
  }

  /** Return the levels to draw from, the wished one first, then coarser ones until it is there. */
  instead(level) {
    const coarser = [];
    for (let one = Math.max(level, 0); one < this.state.levels; one++) if (one !== level) coarser.push(one);
    return [level, ...coarser];
  }

  /** Return a tile if it is there. */
  tile(site, level, index) {
    const key = `${site} ${level} ${index}`;
    const found = this.kept.get(key);
    if (found) {
      this.kept.delete(key); // the last used ones stay
      this.kept.set(key, found);
    }
    return found;
  }

  /** Fetch what is missing of a time; what was under way for another view is given up. True if all is there. */
  want(sites, level, fromS, toS) {
    const length = this.length(level);
    const [first, last] = [Math.max(Math.floor(fromS / length), 0), Math.floor(toS / length)];
    let [low, high, lacking] = [Infinity, -Infinity, new Set()];
    for (const site of sites)
      for (let index = first; index <= Math.min(last, first + MOST_AT_ONCE - 1); index++)
        if (!this.kept.has(`${site} ${level} ${index}`)) {
          lacking.add(site);
          [low, high] = [Math.min(low, index), Math.max(high, index)];
        }
    if (!lacking.size) {
      this.flight?.controller.abort();
      this.flight = null;
      return true;
    }
    const covers = (one) => one && one.level === level && one.low <= low && one.high >= high && [...lacking].every((site) => one.sites.includes(site));
    const waiting = this.failed && performance.now() < this.failed.atMs + this.waitMs && covers(this.failed);
    if (!covers(this.flight) && !waiting) {
      this.flight?.controller.abort();
      this.flight = { controller: new AbortController(), level, low, high, sites: [...lacking] };
      this.fetch(this.flight);
    }
    return false;
  }

  /** Somebody moves the view: what could not be read may be asked for again. */
  moved() {
    if (this.failed && performance.now() > this.failed.atMs + BY_HAND_MS) this.failed = null;
  }

  /** Remember what could not be read, and wait longer each time: a picture that is drawn anew would ask at once. */
  fail(flight) {
    this.waitMs = Math.min(Math.max(2 * this.waitMs, AGAIN_MS[0]), AGAIN_MS[1]);
    this.failed = Object.assign(flight, { atMs: performance.now() });
  }

  async fetch(flight) {
    const { level, low, high, sites, controller } = flight;
    const length = this.length(level);
    try {
      if (level === RAW) {
        const query = { sites, from_s: low * length, to_s: (high + 1) * length };
        const buffer = await get(at`/nights/${this.night}/signal/samples`, query, { signal: controller.signal });
        this.takeSamples(buffer, flight, length);
      } else {
        const query = { sites, level, first: low * BINS, count: (high - low + 1) * BINS };
        const buffer = await get(at`/nights/${this.night}/signal/bins`, query, { signal: controller.signal });
        this.takeBins(buffer, flight, length);
      }
    } catch (error) {
      if (error.name === "AbortError") return;
      if (this.flight === flight) this.flight = null;
      this.fail(flight);
      this.arrived(error);
      return;
    }
    if (this.flight === flight) this.flight = null;
    Object.assign(this, { failed: null, waitMs: 0 });
    for (const key of this.kept.keys()) {
      if (this.kept.size <= MOST_KEPT) break;
      this.kept.delete(key);
    }
    this.arrived();
  }

  takeBins(buffer, { level, low, high, sites }, length) {
    const count = (high - low + 1) * BINS;
    const data = new Float32Array(buffer);
    sites.forEach((site, k) => {
      const own = data.subarray(k * CHANNELS * 2 * count, (k + 1) * CHANNELS * 2 * count);
      for (let index = low; index <= high; index++) {
        const tile = { fromS: index * length, step: length / BINS, own, count, start: (index - low) * BINS, n: BINS };
        this.kept.set(`${site} ${level} ${index}`, tile);
      }
    });
  }

  takeSamples(buffer, { low, high, sites }, length) {
    const sizes = new Uint32Array(buffer, 0, sites.length);
    let offset = 4 * sites.length;
    sites.forEach((site, k) => {
      const rows = new Float32Array(buffer, offset, sizes[k] * 5);
      offset += rows.byteLength;
      let row = 0;
      for (let index = low; index <= high; index++) {
        const until = (index - low + 1) * length;
        const begin = row;
        while (row < sizes[k] && !(rows[row * 5] >= until)) row++;
        // One more sample after the end, so that lines reach the next tile.
        const end = Math.min(row + 1, sizes[k]);
        this.kept.set(`${site} ${RAW} ${index}`, { fromS: low * length, rows: rows.subarray(begin * 5, end * 5), n: end - begin });
      }
    });
  }
}

/** Smallest and largest value of each column of pixels. */
export class Columns {
  constructor(width) {
    this.low = new Float32Array(width);
    this.high = new Float32Array(width);
    this.width = width;
  }

  clear() {
    this.low.fill(Infinity);
    this.high.fill(-Infinity);
  }

  /** Take in what there is of a channel in a view; true if all of it came from the wished level. */
  fill(tiles, site, channel, level, view) {
    this.clear();
    let open = [[view.fromS, view.toS]];
    for (const from of tiles.instead(level)) {
      const length = tiles.length(from);
      const rest = [];
      for (const [a, b] of open)
        for (let index = Math.max(Math.floor(a / length), 0); index * length < b; index++) {
          const tile = tiles.tile(site, from, index);
          const span = [Math.max(a, index * length), Math.min(b, (index + 1) * length)];
          if (!tile) rest.push(span);
          else if (from === RAW) this.addSamples(tile, channel, view);
          else this.addBins(tile, channel, view, span);
        }
      if (!rest.length) return from === level;
      open = rest;
    }
    return false;
  }

  addBins({ fromS, step, own, count, start, n }, channel, view, [a, b]) {
    const perSecond = this.width / (view.toS - view.fromS);
    const [lows, highs] = [channel * 2 * count + start, (channel * 2 + 1) * count + start];
    const first = Math.max(Math.floor((a - fromS) / step), 0);
    const last = Math.min(Math.ceil((b - fromS) / step), n);
    for (let i = first; i < last; i++) {
      const [low, high] = [own[lows + i], own[highs + i]];
      if (!(low <= high)) continue;
      const x = (fromS + i * step - view.fromS) * perSecond;
      const from = Math.max(Math.floor(x), 0);
      const to = Math.min(Math.max(Math.floor(x + step * perSecond), from + 1), this.width);
      for (let at = from; at < to; at++) {
        if (low < this.low[at]) this.low[at] = low;
        if (high > this.high[at]) this.high[at] = high;
      }
    }
  }

  addSamples({ fromS, rows, n }, channel, view) {
    const perSecond = this.width / (view.toS - view.fromS);
    for (let i = 0; i < n; i++) {
      const at = Math.floor((fromS + rows[i * 5] - view.fromS) * perSecond);
      const value = rows[i * 5 + 1 + channel];
      if (!(at >= 0 && at < this.width)) continue;
      if (value < this.low[at]) this.low[at] = value;
      if (value > this.high[at]) this.high[at] = value;
    }
  }
}
