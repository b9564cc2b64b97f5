import { get, send } from "./api.js";
import { t } from "./texts.js";

const form = document.getElementById("settings");
const kept = document.getElementById("kept");
form.addEventListener("submit", async (event) => {
  event.preventDefault();
  try {
    const first = (await get("/settings")).show === null;
    await send("PUT", "/settings", { show: new FormData(form).get("show") });
    if (first) location.assign("/");
    kept.textContent = t("settings.kept");
  } catch (error) {
    kept.textContent = error.message;
  }
});
form.addEventListener("change", () => (kept.textContent = ""));
