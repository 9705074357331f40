"""What else people do: try a policy, ask whose a session is, acknowledge, take a suppression back, read who did what."""

import re

import driver

# The small scenario's users.
USER = re.compile(r"10\.60\.|2001:db8:60:")


def fill(page, reason):
    """The open dialog's text, and done."""
    page.page.fill("dialog textarea", reason)
    page.page.click("dialog button[type=submit]")
    page.page.wait_for_selector("dialog", state="detached")


def try_policy(page):
    page.go("#/policy")
    policy = "\n".join(page.page.locator(".lines code").all_inner_texts())
    page.page.fill("textarea[name=candidate]", policy)
    page.page.click("[data-diff]")
    page.page.wait_for_selector("text=It says the same")
    rule = '\n[[allow]]\nfrom = { id = "gnb-1" }\nto = { cidr = "198.51.100.7/32" }\nservices = ["https"]\nnote = "telemetry"\n'
    page.page.fill("textarea[name=candidate]", policy + rule)
    page.page.click("[data-diff]")
    page.page.wait_for_selector(".diff .new")
    assert "198.51.100.7" in page.page.inner_text(".diff"), page.page.inner_text(".diff")
    page.page.click("[data-test]")
    page.page.wait_for_selector("text=It would silence")
    page.page.fill("textarea[name=candidate]", policy + "\n[[allow]]\nfrm = 1\n")
    page.page.click("[data-diff]")
    page.page.wait_for_selector("text=it would be refused")
    assert "policy.toml:" in page.page.inner_text("main .failed")


def reveal(page):
    page.go("#/sessions")
    before = page.page.inner_text("tbody tr >> nth=0")
    assert "h:" in before and not USER.search(before), before
    page.page.click("tbody tr >> nth=0 >> text=Show …")
    fill(page, "lawful request 12")
    page.page.wait_for_selector("text=shown to you alone")
    address = page.page.inner_text("tbody tr >> nth=0 >> .sub .line >> nth=0")
    assert USER.match(address), address
    page.go("#/sessions?state=active")
    page.page.fill("input[name=ue]", address)
    page.page.click("text=Look up …")
    fill(page, "lawful request 12")
    page.page.wait_for_selector("tbody tr")
    assert address not in page.page.url


def suppress_and_take_back(page):
    page.go("#/alerts?status=new&detection=EGR-NOTALLOWED")
    page.page.locator("main a[data-row]").first.click()
    page.settle()
    page.page.click("text=Acknowledge")
    fill(page, "asked the vendor")
    page.page.wait_for_selector("main .status.acknowledged")
    assert "asked the vendor" in page.page.inner_text(".remark")
    page.key("m")
    page.page.wait_for_selector("dialog .preview")
    page.page.check("dialog input[name=end][value=date]")
    page.page.fill("dialog input[name=date]", "2020-01-01T00:00")
    page.page.fill("dialog textarea", "support case 4711")
    page.page.click("dialog button[type=submit]")
    page.page.wait_for_function("() => document.querySelector('dialog .trouble').textContent.length > 10")
    page.page.check("dialog input[name=end][value='3600000']")
    fill(page, "support case 4711")
    page.page.wait_for_selector("main .status.suppressed")
    page.go("#/suppressions")
    page.page.click("text=Take back")
    fill(page, "the case is closed")
    page.page.wait_for_selector("text=No suppression holds")


def main():
    asked = driver.asked("viewer")
    with driver.chromium() as browser:
        page = driver.Page(browser.new_context(viewport=driver.size(1280)), asked.address, asked.token)
        # The browser itself says on its console that a request was refused.
        page.excused = ("400 (Bad Request)",)
        page.sign_in()
        try_policy(page)
        reveal(page)
        suppress_and_take_back(page)
        page.go("#/audit")
        told = page.page.inner_text("main")
        for words in ("identity reveal", "identity look up", "lawful request 12", "the case is closed", "support case 4711", "asked the vendor"):
            assert words in told, f"{words!r} is not in {told}"
        assert not USER.search(told), told
        page.picture(asked.out / "deeds-audit.png", full_page=True)
        page.is_clean()
        # Who may only look is offered nothing else.
        page = driver.Page(browser.new_context(viewport=driver.size(1280)), asked.address, asked.viewer)
        page.sign_in()
        for place in ("#/alerts?detection=EGR-NOTALLOWED", "#/sessions", "#/suppressions?show=all"):
            page.go(place)
            offered = page.page.locator("main button:visible").all_inner_texts()
            assert all(one in ("Show", "Look up") for one in offered), offered
        page.go("#/alerts")
        page.page.locator("main a[data-row]").first.click()
        page.settle()
        assert page.page.locator("main [data-key]").count() == 0
        assert not page.page.is_visible("text=Audit")
        page.is_clean()
    driver.tell(done=True)


main()
