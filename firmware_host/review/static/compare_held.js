// Nights whose counts are kept back: said in the words of these pages, once, and never as nights without counts.
import { t } from "./texts.js";

const keptBack = (nights, asked) => nights.filter(({ showing }) => showing === "later" || (showing === "on_request" && !asked));

/** Return the counted nights that somebody slept and whose counts are not shown; `asked` once somebody asked here. */
export const heldBack = (nights, asked) => keptBack(nights, asked).filter((night) => night.runs && !night.made_up);

/** Return how many there are and when their counts come; empty where there are none. */
export function heldWords(held) {
  const kinds = ["on_request", "later"].map((kind) => [kind, held.filter((night) => night.showing === kind).length]);
  return kinds.filter(([, n]) => n).map(([kind, n]) => t(`compare.held_${kind}`, { n })).join(" ");
}

/** Leave out the sentences on single nights that are kept back: `heldWords` says it of all of them. */
export function withoutHeld(sentences, nights, asked) {
  const kept = keptBack(nights, asked);
  return sentences.filter((one) => !kept.some(({ night }) => one.includes(night)));
}
