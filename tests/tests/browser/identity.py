"""Whose session an alert is about: a pseudonym, until somebody with the role says why it must be known."""

import re

import driver

# The users of the scenario's sessions.
USER = re.compile(r"10\.60\.\d|2001:db8:60:")
REVEALED = "main .panel:has(h2:text-is('Subscribers'))"


def opened(context, asked, token):
    page = driver.Page(context, asked.address, token)
    page.sign_in()
    page.go("#/alerts?detection=PFCP-REDIR")
    page.page.locator("main a[data-row]").first.click()
    page.settle()
    told = page.page.evaluate("document.querySelector('main').textContent")
    assert "the session of h:" in told and not USER.search(told), told
    return page


def main():
    asked = driver.asked("viewer")
    with driver.chromium() as browser:
        page = opened(browser.new_context(viewport=driver.size(1280)), asked, asked.viewer)
        offered = page.page.locator("main button:visible").all_inner_texts()
        assert not offered, offered
        page.is_clean()
        page = opened(browser.new_context(viewport=driver.size(1280)), asked, asked.token)
        pseudonym = re.search(r"the session of (h:[0-9a-f]{16})", page.page.inner_text("main")).group(1)
        page.page.click(f"{REVEALED} >> text=Show …")
        page.page.fill("dialog textarea", "lawful request 12")
        page.page.click("dialog button[type=submit]")
        page.page.wait_for_selector(f"{REVEALED} >> text=shown to you alone")
        told = page.page.inner_text(REVEALED)
        assert re.search(rf"{pseudonym} is (10\.60\.|2001:db8:60:)", told), told
        page.picture(asked.out / "identity.png", full_page=True)
        page.is_clean()
        driver.tell(alert=page.page.url.rsplit("/", 1)[1])


main()
