// "Was the sensor on?": asked once a site, where it lay so still that wearing it cannot be shown.
import { durationWords } from "./night_words.js";
import { make } from "./page.js";
import { focusAfter } from "./shown.js";
import { t } from "./texts.js";

const WORTH_ASKING_S = 60;
const later = new Set();

export function askWear(desk, { wear_questions: questions }) {
  const open = questions.filter((one) => one.unconfirmed_s >= WORTH_ASKING_S && !later.has(one.site));
  follow(() => {
    document.getElementById("wear").hidden = !open.length;
    document.getElementById("wear-questions").replaceChildren(...open.map((one) => question(desk, one)));
  });
}

/** Change the questions; the focus goes to the same answer of the same or the first question, else on after them. */
function follow(change) {
  const box = document.getElementById("wear-questions");
  const held = box.contains(document.activeElement) ? document.activeElement : null;
  const site = held?.closest("fieldset").dataset.site;
  const place = held && [...held.parentElement.children].indexOf(held);
  change();
  if (!held || box.contains(document.activeElement)) return;
  const next = [...box.children].find((one) => one.dataset.site === site) ?? box.firstElementChild;
  if (next) next.querySelectorAll("button")[place].focus();
  else focusAfter(document.getElementById("wear"));
}

function question(desk, { site, start_s: startS, end_s: endS, unconfirmed_s: seconds }) {
  const name = desk.label[site] ?? site;
  const values = { site: name, from: desk.clock.time(startS), to: desk.clock.time(endS), length: durationWords(seconds) };
  const answer = (what) => () => desk.tell({ what, site, start_s: startS, end_s: endS });
  const wait = (event) => {
    later.add(site);
    follow(() => {
      event.target.closest("fieldset").remove();
      document.getElementById("wear").hidden = !document.querySelector("#wear-questions fieldset");
    });
  };
  return make(
    "fieldset",
    { "data-site": site },
    make("legend", {}, t("correct.wear_question", values)),
    make("p", { class: "quiet" }, t("correct.wear_when", values)),
    make(
      "div",
      { class: "row" },
      make("button", { type: "button", onclick: answer("worn") }, t("correct.wear_yes")),
      make("button", { type: "button", onclick: answer("not_worn") }, t("correct.wear_no")),
      make("button", { type: "button", onclick: wait }, t("correct.wear_later")),
    ),
  );
}
