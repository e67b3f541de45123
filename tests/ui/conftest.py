"""One server and one browser for all tests of this folder."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, sync_playwright

from .lab import BUILT, Lab, running_lab

CHROMIUM_FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
IMAGES = Path(__file__).parents[2] / "docs" / "images"


# Package scope: Playwright keeps an event loop running, which other tests of the session must not find.


@pytest.fixture(autouse=True)
def jp_asyncio_loop() -> None:
    """Nothing, in place of pytest-jupyter's, which would close Playwright's event loop."""


@pytest.fixture(autouse=True)
def jp_server_cleanup() -> None:
    """Nothing, in place of pytest-jupyter's: no server runs in this process."""


@pytest.fixture(scope="package")
def browser() -> Iterator[Browser]:
    """Headless Chromium with a fresh profile."""
    path = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    if path is None:
        pytest.skip("NO CHROMIUM HERE: the browser tests did not run (Debian: apt install chromium)")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=CHROMIUM_FLAGS)
        yield browser
        browser.close()


@pytest.fixture(scope="package")
def home() -> Iterator[Path]:
    """``LEPTON_HOME`` of these tests and their server."""
    names = ("LEPTON_HOME", "LEPTON_STATE_DIR")
    before = {name: os.environ.get(name) for name in names}
    with tempfile.TemporaryDirectory(prefix="lepton-ui-", dir="/tmp", ignore_cleanup_errors=True) as folder:
        os.environ["LEPTON_HOME"], os.environ["LEPTON_STATE_DIR"] = f"{folder}/home", f"{folder}/state"
        try:
            yield Path(folder) / "home"
        finally:
            for name, value in before.items():
                if value is None:
                    os.environ.pop(name, None)
                else:
                    os.environ[name] = value


@pytest.fixture(scope="package")
def lab(home: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    """JupyterLab with our server extension."""
    if not (BUILT / "package.json").is_file():
        pytest.skip("THE LAB EXTENSION IS NOT BUILT: run `jlpm install && jlpm build:prod` in labextension/")
    with running_lab(tmp_path_factory.mktemp("lab"), {"LEPTON_HOME": str(home)}) as lab:
        yield lab


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    """A page of its own. What breaks on it breaks the test."""
    context = browser.new_context(viewport={"width": 1280, "height": 1000}, device_scale_factor=1)
    page = context.new_page()
    page.set_default_timeout(15_000)
    broken: list[str] = []
    page.on("pageerror", lambda error: broken.append(str(error)))
    yield page
    context.close()
    assert not broken, broken


@pytest.fixture
def shoot(page: Page) -> Callable[[str], None]:
    """Keep a picture of the dashboard for the documentation, when LEPTON_SCREENSHOTS is set."""

    def take(name: str, selector: str = ".lepton-run") -> None:
        if os.environ.get("LEPTON_SCREENSHOTS"):
            IMAGES.mkdir(parents=True, exist_ok=True)
            page.mouse.move(0, 0)
            page.locator(selector).first.scroll_into_view_if_needed()
            page.wait_for_timeout(1500)
            page.locator(selector).first.screenshot(path=IMAGES / f"{name}.png")

    return take
