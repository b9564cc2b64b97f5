"""A real browser and a real server process for tests of the pages; every test file has the fixtures.

>>> def test_it(browser, served, tmp_path):  # doctest: +SKIP
...     page = served(tmp_path)
...     browser.get(page.url + "nights")
...     wait_for(browser, "#state")
"""

from __future__ import annotations

import importlib.util
import re
import shutil
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from selenium import webdriver
from selenium.common.exceptions import SessionNotCreatedException
from selenium.webdriver.remote.webelement import WebElement
from selenium.webdriver.support.ui import WebDriverWait
from serving import end_review, start_review

ROOT = Path(__file__).parents[1]
PAGE_S = 20.0
SHOWN = """
const [selector, text] = arguments;
const isShown = (one) =>
  one.checkVisibility({ opacityProperty: true, visibilityProperty: true }) &&
  one.getBoundingClientRect().height > 0;
const textOf = (one) => (one.innerText ?? one.textContent).replace(/\\s+/g, " ");
return [...document.querySelectorAll(selector)].find(
  (one) => isShown(one.closest("select") ?? one) && textOf(one).includes(text),
);
"""
"""Finds what is shown, at a fifth of what Selenium's own questions, one by one, cost the browser."""


@dataclass(frozen=True)
class Served:
    """A server process: `url` ends in a slash and has the token in it where there is one."""

    url: str
    process: subprocess.Popen[str]

    @property
    def origin(self) -> str:
        """What its own pages say where they come from."""
        return "/".join(self.url.split("/")[:3])

    @property
    def token(self) -> str | None:
        """The token in its address, if there is one."""
        found = re.search(r"[?&]token=([^&]+)", self.url)
        return found and found.group(1)


Serve = Callable[..., Served]
Standing = Callable[[Path], Served]


@pytest.fixture(scope="session")
def _turning(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Standing]:
    """Give `turning(folder)`: the one server of this process, turned to another folder.

    To begin takes a server longer than most tests last. It keeps nothing of a folder that is replaced.
    """
    way = tmp_path_factory.mktemp("turning") / "nights"
    running: list[Served] = []

    def serve(folder: Path) -> Served:
        way.unlink(missing_ok=True)
        way.symlink_to(folder, target_is_directory=True)
        if not running or running[-1].process.poll() is not None:
            process, url = start_review(way)
            running.append(Served(url, process))
        return running[-1]

    yield serve
    end_review(*(server.process for server in running))


@pytest.fixture
def served(request: pytest.FixtureRequest, _turning: Standing) -> Iterator[Serve]:
    """Give `served(folder, *options)`, a server of `twitchmap review` over a folder.

    With options, `before` or `alone` it is a process of its own that ends with the test: for work that
    outlasts a page, and for servers that end. A browser leaves the pages first: one that asks now and then
    would find nobody, and the test fail.
    """
    browser = request.getfixturevalue("browser") if "browser" in request.fixturenames else None
    running: list[subprocess.Popen[str]] = []

    def serve(
        folder: Path, *options: str, before: Callable[[], None] | None = None, alone: bool = False
    ) -> Served:
        if not (options or before or alone):
            return _turning(folder)
        process, url = start_review(folder, *options, before=before)
        running.append(process)
        return Served(url, process)

    yield serve
    if browser is not None:
        browser.get("about:blank")
    end_review(*running)


@pytest.fixture(scope="module")
def standing() -> Iterator[Standing]:
    """Give `standing(folder)`: one server over a folder for all tests of a file that only look at it."""
    servers: dict[Path, Served] = {}

    def serve(folder: Path) -> Served:
        if folder not in servers:
            process, url = start_review(folder)
            servers[folder] = Served(url, process)
        return servers[folder]

    yield serve
    end_review(*(server.process for server in servers.values()))


@pytest.fixture(scope="session")
def _chromium() -> Iterator[webdriver.Chrome]:
    # One process draws all pages, and none is for a graphics card: a quarter less of the processor's time.
    yield from _started("--renderer-process-limit=1", "--in-process-gpu")


@pytest.fixture
def printer() -> Iterator[webdriver.Chrome]:
    """Give a Chromium to print with: one that draws in the process of other pages prints empty ones."""
    yield from _started()


def _started(*arguments: str) -> Iterator[webdriver.Chrome]:
    shell, driver = shutil.which("chromium-headless-shell"), shutil.which("chromedriver")
    program = shell or shutil.which("chromium") or shutil.which("google-chrome")
    if program is None or driver is None:
        pytest.skip("chromium and chromedriver are not installed")
    options = webdriver.ChromeOptions()
    options.binary_location = program
    # The shell is Chromium without its windows, for a third of the processor's time.
    headless = [] if shell else ["--headless=new"]
    for argument in (
        *headless,
        "--no-sandbox",
        "--disable-dev-shm-usage",
        "--disable-gpu",
        "--lang=en",
        *arguments,
    ):
        options.add_argument(argument)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    try:
        chromium = webdriver.Chrome(options, webdriver.ChromeService(driver))
    except SessionNotCreatedException:  # with it every test of this process would fail
        chromium = webdriver.Chrome(options, webdriver.ChromeService(driver))
    yield chromium
    chromium.quit()


@pytest.fixture
def browser(_chromium: webdriver.Chrome) -> Iterator[webdriver.Chrome]:
    """Give a headless Chromium, 1280 x 900, that remembers nothing; errors on the console fail the test."""
    _chromium.set_window_size(1280, 900)
    _chromium.execute_cdp_cmd("Storage.clearDataForOrigin", {"origin": "*", "storageTypes": "all"})
    _chromium.delete_all_cookies()
    _chromium.get_log("browser")  # what is left of the test before
    yield _chromium
    errors = console_errors(_chromium)
    _chromium.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})
    _chromium.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": []})
    _chromium.get("about:blank")
    assert not errors, errors


def console_errors(browser: webdriver.Chrome) -> list[str]:
    """Return what went wrong on the page since this was last asked: scripts, refused files, broken rules."""
    log: list[dict[str, Any]] = browser.get_log("browser")
    return [entry["message"] for entry in log if entry["level"] == "SEVERE"]


def wait_for(
    browser: webdriver.Chrome, selector: str, text: str = "", timeout_s: float = PAGE_S
) -> WebElement:
    """Return the first shown element that matches a CSS selector and holds a text, once there is one."""

    wait = WebDriverWait(browser, timeout_s, 0.1)
    element: WebElement = wait.until(
        lambda driver: driver.execute_script(SHOWN, selector, text), f"no {selector} with {text!r}"
    )
    return element


def screen(browser: webdriver.Chrome, width: int, height: int = 900, *, dark: bool = False) -> None:
    """Make the page so wide, and light or dark, as a phone or a large screen would."""
    size = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": False}
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
    feature = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": [feature]})


def axe_problems(browser: webdriver.Chrome, *rules: str) -> list[str]:
    """Return what axe-core finds wrong with the page for people who see, hear or move differently.

    By all of its rules, or those that are named. Skips the test where no package that carries axe-core is
    installed.
    """
    packages = ("axe_playwright_python", "axe_core_python")
    found = next(filter(None, (importlib.util.find_spec(name) for name in packages)), None)
    if found is None or found.origin is None:
        pytest.skip("no axe-core: pip install axe-core-python")
    if not browser.execute_script("return Boolean(window.axe)"):
        browser.execute_script((Path(found.origin).parent / "axe.min.js").read_text(encoding="utf-8"))
    run = """
        const [rules, done] = arguments;
        const options = rules.length ? { runOnly: rules } : {};
        axe.run(document, options).then(done, (error) => done({ error: String(error) }));
        """
    result: dict[str, Any] = browser.execute_async_script(run, rules)
    assert "error" not in result, result
    assert result["passes"]
    return [
        f"{rule['id']}: {rule['help']}: {[node['html'][:150] for node in rule['nodes']][:3]}"
        for rule in result["violations"]
    ]


def small_targets(browser: webdriver.Chrome) -> list[str]:
    """Return the controls that are shown and lower than 44 px, or buttons that are narrower."""
    found: list[str] = browser.execute_script(
        """
        const controls = "button, .button, select, input, textarea, summary, nav a, a.day";
        return [...document.querySelectorAll(controls)]
          .filter((one) => one.checkVisibility({visibilityProperty: true}))
          .map((one) => one.matches("[type=checkbox], [type=radio]") ? one.closest("label") ?? one : one)
          .filter((one) => {
            const box = one.getBoundingClientRect();
            return box.height < 43.5 || (one.matches("button") && box.width < 43.5);
          })
          .map((one) => one.outerHTML.slice(0, 120));
        """
    )
    return found
