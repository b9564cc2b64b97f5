"""What people read on the pages: one file a page and language, `en/<page>.json`, found by its name.

Keys are flat and begin with the page: "nights.title". `{name}` stands for a value. A key "nights.found" with
a value `n` may have a form of its own for one, "nights.found.one".
"""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path

LANGUAGE = "en"
FOLDER = Path(__file__).parent


@cache
def texts(language: str = LANGUAGE) -> dict[str, str]:
    """Return all texts of a language by key.

    Raises
    ------
    ValueError
        If a key does not begin with the name of its file.
    """
    found: dict[str, str] = {}
    for path in sorted((FOLDER / language).glob("*.json")):
        for key, text in json.loads(path.read_text(encoding="utf-8")).items():
            if key.split(".")[0] != path.stem:
                raise ValueError(f"{path.name}: {key} does not begin with {path.stem}")
            found[key] = text
    return found


def t(key: str, **values: object) -> str:
    """Return a text with its values; raises `KeyError` for a key that there is not."""
    known = texts()
    text = known.get(f"{key}.one") if values.get("n") == 1 else None
    text = known[key] if text is None else text
    for name, value in values.items():
        text = text.replace(f"{{{name}}}", str(value))
    return text


_SCRIPT = """
export const texts = {texts};

/** Return a text with its values; a key that there is not stands for itself, and the console says so. */
export function t(key, values = {{}}) {{
  let text = values.n === 1 ? texts[key + ".one"] ?? texts[key] : texts[key];
  if (text === undefined) {{
    console.error("no text " + key);
    return key;
  }}
  for (const [name, value] of Object.entries(values)) text = text.replaceAll("{{" + name + "}}", value);
  return text;
}}
"""


@cache
def script() -> str:
    """Return the texts as an ES module."""
    return _SCRIPT.format(texts=json.dumps(texts(), indent=1))
