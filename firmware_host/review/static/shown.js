// Whether counts are shown: as the folder's settings say, or once somebody asks for them in this view.
import { at, get } from "./api.js";
import { make } from "./page.js";
import { t } from "./texts.js";

/**
 * Resolve to true when the counts of a night may be shown: at once, or when somebody has pressed "show".
 * Meanwhile, or for good where the week is not over, `place` says why there are none.
 */
export async function mayShow(night, place) {
  const { showing } = await get(at`/nights/${night}/showing`);
  if (showing === "now") return true;
  place.replaceChildren(make("span", {}, t(`shown.${showing}`)));
  if (showing === "later") return false;
  return new Promise((resolve) => {
    const show = () => {
      place.replaceChildren();
      focusAfter(place);
      resolve(true);
    };
    place.append(" ", make("button", { type: "button", onclick: show }, t("shown.show")));
  });
}

/**
 * Put the focus on the first heading after a place whose button is gone, as soon as one is shown: who reads by
 * keyboard or by ear would begin at the top of the page otherwise.
 */
export function focusAfter(place) {
  const after = (one) => !place.contains(one) && place.compareDocumentPosition(one) & Node.DOCUMENT_POSITION_FOLLOWING;
  const take = () => {
    const heading = [...document.querySelectorAll("main :is(h2, h3)")].find((one) => after(one) && one.textContent && one.checkVisibility());
    if (!heading) return false;
    heading.tabIndex = -1;
    heading.focus();
    return true;
  };
  if (take()) return;
  const grown = new ResizeObserver(() => {
    const elsewhere = document.activeElement !== document.body; // somebody has gone on meanwhile
    if (elsewhere || take()) grown.disconnect();
  });
  grown.observe(document.querySelector("main"));
}
