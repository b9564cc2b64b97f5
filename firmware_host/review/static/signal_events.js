// All events of a site in typed arrays: 100,000 of them are drawn, found and stepped through without waiting.

const BYTES = 32; // an event: a float64 and six float32
const [COUNTED, TWITCH, NONE, REJECTED, COMPLEX] = [1, 2, 4, 8, 16];

export class Events {
  /** `buffer` is what /drawn-events answers. */
  constructor(site, buffer) {
    const n = buffer.byteLength / BYTES;
    const column = (k) => new Float32Array(buffer, 8 * n + 4 * n * k, n);
    Object.assign(this, { site, buffer, n, candidates: false, peakS: new Float64Array(buffer, 0, n) });
    [this.ids, this.durationMs, this.peakToPeakMg, this.snr, this.probability, this.what] = [0, 1, 2, 3, 4, 5].map(column);
  }

  event(i) {
    const what = this.what[i];
    return {
      i,
      site: this.site,
      id: this.ids[i],
      peakS: this.peakS[i],
      probability: this.probability[i],
      counted: (what & COUNTED) > 0,
      confirmed: (what & TWITCH) > 0,
      rejected: (what & (NONE | REJECTED)) > 0,
      complex: (what & COMPLEX) > 0,
    };
  }

  shown(i) {
    return this.candidates || (this.what[i] & (COUNTED | TWITCH | NONE)) > 0;
  }

  /** Return the index of the first event at or after a time. */
  first(s) {
    let [low, high] = [0, this.n];
    while (low < high) {
      const middle = (low + high) >> 1;
      if (this.peakS[middle] < s) low = middle + 1;
      else high = middle;
    }
    return low;
  }

  /** Return the events of a view, the surest of each of `slots` times where there are many. */
  visible(view, slots) {
    const [a, b] = [this.first(view.fromS), this.first(view.toS)];
    const slotS = (view.toS - view.fromS) / slots;
    const found = [];
    for (let i = a; i < b; ) {
      const until = b - a > slots ? this.peakS[i] + slotS : this.peakS[i];
      let best = -1;
      do {
        if (this.shown(i) && (best < 0 || this.rank(i) > this.rank(best))) best = i;
        i++;
      } while (i < b && this.peakS[i] < until);
      if (best >= 0) found.push(this.event(best));
    }
    return found;
  }

  rank(i) {
    return (this.what[i] & COUNTED) * 2 + (this.probability[i] || 0);
  }

  /** Return how many events of a time count. */
  counted(fromS, toS) {
    let sum = 0;
    for (let i = this.first(fromS), end = this.first(toS); i < end; i++) sum += this.what[i] & COUNTED;
    return sum;
  }

  /** Return the next shown event after a time, or the last before it; null: there is none. */
  beside(s, forward) {
    let i = forward ? this.first(s + 1e-6) : this.first(s) - 1;
    while (i >= 0 && i < this.n && !this.shown(i)) i += forward ? 1 : -1;
    return i >= 0 && i < this.n ? this.event(i) : null;
  }

  /** Return the shown event nearest to a time, if it is so near. */
  near(s, withinS) {
    const sides = [this.beside(s, false), this.beside(s - 1e-6, true)].filter((one) => one && Math.abs(one.peakS - s) <= withinS);
    sides.sort((a, b) => Math.abs(a.peakS - s) - Math.abs(b.peakS - s));
    return sides[0] ?? null;
  }

  find(id) {
    const i = this.ids.indexOf(id);
    return i < 0 ? null : this.event(i);
  }
}
