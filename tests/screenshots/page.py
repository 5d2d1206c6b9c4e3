"""Screenshot of a run's page, in Debian's Chromium."""

import shutil
from pathlib import Path

from playwright.sync_api import sync_playwright

WINDOW = {"width": 1280, "height": 1180}
"""Size in pixels: the top, the chart, and the first figures of a layer."""


def screenshot_of_page(page: Path, to: Path) -> None:
    """Open ``page`` from disk and take a picture of the first screen.

    Raises:
        RuntimeError: this machine has no Chromium.
    """
    chromium = next(filter(None, map(shutil.which, ("chromium", "chromium-browser"))), None)
    if chromium is None:
        raise RuntimeError("no Chromium on this machine: apt-get install chromium")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        shown = browser.new_page(viewport=WINDOW, color_scheme="light")
        shown.goto(page.absolute().as_uri())
        shown.locator("#plot svg").wait_for()
        shown.screenshot(path=to)
        browser.close()
