// Events as they stand above a trace: filled ones count, hollow ones do not, crossed ones were rejected.

export const MARKS = 26; // height of their row
export const LEFT = 64; // room for the scale

/** Draw the events: the higher, the more probable; filled ones count, crossed ones were rejected. */
export function drawEvents(painter, view, trace, base) {
  const { context, colours, width } = painter;
  const shown = trace.events?.visible(view, (width - LEFT) / 8) ?? [];
  const apart = (width - LEFT) / Math.max(shown.length, 1);
  for (const event of shown) {
    const x = painter.x(view, event.peakS);
    const y = base - 7 - (event.probability || 0.5) * (MARKS - 12);
    const chosen = event.id === view.chosenId;
    context.strokeStyle = context.fillStyle = chosen ? colours.accent : colours.event;
    context.lineWidth = chosen ? 2 : 1;
    if (apart > 9 || chosen) {
      context.globalAlpha = chosen ? 0.9 : view.spanS <= 60 ? 0.45 : 0.3;
      context.beginPath();
      context.moveTo(x, y + 4);
      context.lineTo(x, chosen || view.spanS <= 60 ? base + view.layout.band + view.layout.raw - 4 : base);
      context.stroke();
      context.globalAlpha = 1;
    }
    symbol(painter, event, x, y, apart > 9 ? 4.5 : 3);
  }
}

function symbol({ context, colours }, event, x, y, r) {
  context.beginPath();
  if (event.counted) {
    context.moveTo(x, y - r);
    context.lineTo(x + r, y);
    context.lineTo(x, y + r);
    context.lineTo(x - r, y);
    context.closePath();
    context.fill();
    if (event.confirmed) {
      context.beginPath();
      context.arc(x, y, r + 3, 0, 7);
      context.stroke();
    }
    return;
  }
  context.arc(x, y, r - 0.5, 0, 7);
  const fill = context.fillStyle;
  context.fillStyle = colours.surface;
  context.fill();
  context.fillStyle = fill;
  if (event.rejected) {
    context.moveTo(x - r, y - r);
    context.lineTo(x + r, y + r);
    context.moveTo(x + r, y - r);
    context.lineTo(x - r, y + r);
  }
  context.stroke();
}
