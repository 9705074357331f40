"""What the browser's tests share: a real Chromium, a witness of everything that goes wrong, patience."""

import argparse
import contextlib
import json
import pathlib
import sys

from playwright.sync_api import sync_playwright

FLAGS = [
    "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync",
]
# Told before anything of the page runs; the page's own rules do not reach it.
WITNESS = """
addEventListener("securitypolicyviolation", (event) =>
  console.error(`CSP: ${event.violatedDirective} ${event.blockedURI} ${event.sourceFile}:${event.lineNumber}`));
"""


def asked(*more):
    """The script's arguments: where control is, the token, where pictures go."""
    parser = argparse.ArgumentParser()
    parser.add_argument("address")
    parser.add_argument("token")
    parser.add_argument("out", type=pathlib.Path)
    for name in more:
        parser.add_argument(name)
    return parser.parse_args()


class Page:
    """A page of the browser, and what went wrong in it."""

    def __init__(self, context, address, token):
        self.address, self.token = address, token
        self.wrong, self.excused = [], ()
        context.add_init_script(WITNESS)
        self.page = context.new_page()
        self.page.set_default_timeout(20_000)
        self.page.on("console", self._said)
        self.page.on("pageerror", lambda error: self.wrong.append(f"uncaught: {error}"))

    def _said(self, message):
        if message.type not in ("error", "warning"):
            return
        text = f"{message.type}: {message.text} ({message.location.get('url', '')})"
        if not any(part in text for part in self.excused):
            self.wrong.append(text)

    def sign_in(self):
        """By the address that `weir demo` prints: the token is taken out of it at once."""
        self.page.goto(f"http://{self.address}/#token={self.token}")
        self.settle()
        assert "token" not in self.page.url, self.page.url

    def go(self, place):
        """Another view, by its address."""
        self.page.evaluate("(place) => { location.hash = place }", place)
        self.settle()

    def settle(self):
        """Until what the address says is shown whole."""
        self.page.wait_for_function(
            """() => {
                 const main = document.querySelector("main");
                 return main?.ariaBusy === "false" && main.dataset.shows === location.hash && !main.querySelector(".loading");
               }""")

    def key(self, *keys):
        for key in keys:
            self.page.keyboard.press(key)

    def focused(self):
        """What has the focus, in words."""
        return self.page.evaluate("document.activeElement.closest('tr, label, a, button, h1')?.textContent ?? ''")

    def reach(self, key, words, most=200):
        """Presses a key until what has the focus says these words."""
        for _ in range(most):
            self.key(key)
            if words in self.focused():
                return
        raise AssertionError(f"{key} never led to {words!r}; last: {self.focused()!r}")

    def picture(self, path, **more):
        path.parent.mkdir(parents=True, exist_ok=True)
        self.page.screenshot(path=str(path), animations="disabled", **more)

    def is_clean(self):
        assert not self.wrong, "\n".join(self.wrong)


@contextlib.contextmanager
def chromium():
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path="/usr/bin/chromium", headless=True, args=FLAGS)
        try:
            yield browser
        finally:
            browser.close()


def size(width):
    return {"width": width, "height": 800 if width > 600 else 844}


def tell(**found):
    """Tells the test what was found, as the last line."""
    json.dump(found, sys.stdout)
    print()
