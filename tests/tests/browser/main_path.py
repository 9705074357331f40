"""An analyst's way, by the keyboard alone: the overview, an incident, an alert, its evidence, a suppression.

Tells the alert that was suppressed. Given a suppression's number afterwards, tells what the page says that it silenced.
"""

import hashlib
import re

import driver

THEFT = "EGR-NOTALLOWED"


def download(page, out):
    """The frames are what the page says that they are."""
    page.reach("Tab", "Download the frames")
    with page.page.expect_download() as coming:
        page.key("Enter")
    path = out / coming.value.suggested_filename
    coming.value.save_as(path)
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    assert digest in page.page.inner_text("main"), digest


def open_theft(page):
    """From the overview by j and Enter to the incident, and on to the alert."""
    page.page.wait_for_selector("main a[data-row]")
    page.reach("j", THEFT)
    page.key("Enter")
    page.settle()
    assert page.page.inner_text("h1").startswith("Incident "), page.page.inner_text("h1")
    assert page.page.title().endswith("· Weir")
    page.reach("j", THEFT)
    page.key("Enter")
    page.settle()
    assert "What to do next" in page.page.inner_text("main")


def suppress(page):
    """By its key; the narrowest scope is chosen already, and the end is one day."""
    page.key("m")
    page.page.wait_for_selector("dialog[open]")
    page.page.wait_for_function("() => document.querySelector('dialog .preview').textContent.includes('will be silenced')")
    told = page.page.inner_text("dialog .preview")
    assert "1 stored alert will be silenced" in told and "Nothing else is silenced" in told, told
    assert page.focused().endswith("alone"), page.focused()
    page.reach("Tab", "1 day", most=2)
    page.reach("Tab", "Reason", most=2)
    page.page.keyboard.type("support case 4711")
    page.reach("Tab", "Suppress", most=6)
    page.key("Enter")
    page.page.wait_for_selector("dialog", state="detached")
    page.page.wait_for_selector("main .status.suppressed")


def main():
    asked = driver.asked("number")
    with driver.chromium() as browser:
        context = browser.new_context(viewport=driver.size(1280), accept_downloads=True)
        page = driver.Page(context, asked.address, asked.token)
        page.sign_in()
        if asked.number == "0":
            open_theft(page)
            alert = page.page.url.rsplit("/", 1)[1]
            download(page, asked.out)
            suppress(page)
            told = {"alert": alert}
        else:
            told = {}
        page.key("g", "s")
        page.page.wait_for_function("() => document.querySelector('h1')?.textContent === 'Suppressions'")
        page.settle()
        row = page.page.locator("tbody tr").first
        number = row.locator("[data-name=Number]").inner_text()
        silenced = row.locator("[data-name='Alerts silenced']").inner_text()
        assert re.search(r"another|ends in", row.inner_text()), row.inner_text()
        page.picture(asked.out / f"path-suppressions-{asked.number}.png")
        page.is_clean()
        driver.tell(number=int(number), silenced=int(silenced.replace(",", "")), **told)


main()
