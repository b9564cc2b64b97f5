// What was said of the night so far, the newest first.
import { get } from "./api.js";
import { actionWords } from "./correct_words.js";
import { make } from "./page.js";

export async function showHistory(desk) {
  const { actions } = await get(desk.path("labels/history"), { show: true });
  document.getElementById("history-none").hidden = actions.length > 0;
  const row = (one) => make("li", {}, actionWords(desk, one), " ", make("time", { class: "quiet", datetime: one.at }, new Date(one.at).toLocaleString("en-GB", { dateStyle: "medium", timeStyle: "short" })));
  document.getElementById("history-list").replaceChildren(...actions.map(row));
}
