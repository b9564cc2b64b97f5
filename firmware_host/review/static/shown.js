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
    const button = make("button", { type: "button", onclick: () => (place.replaceChildren(), resolve(true)) }, t("shown.show"));
    place.append(" ", button);
  });
}
