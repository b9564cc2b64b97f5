// Light or dark, before anything is drawn: what was chosen here, else what the system says.
"use strict";
{
  const system = matchMedia("(prefers-color-scheme: dark)");
  const apply = () => {
    const chosen = localStorage.getItem("theme");
    document.documentElement.dataset.theme = chosen || (system.matches ? "dark" : "light");
    document.dispatchEvent(new Event("theme")); // pictures that hold colours of their own draw again
  };
  system.addEventListener("change", apply);
  document.addEventListener("theme-chosen", apply);
  apply();
}
