"""Every view at the width of a desk and of a telephone, by day and by night: nothing wider than the screen, nothing that axe
finds serious, no error of the console, no breach of the content's policy. Keeps a picture of each."""

import json
import pathlib

import axe_playwright_python

import driver

AXE = pathlib.Path(axe_playwright_python.__file__).with_name("axe.min.js").read_text()
GRAVE = ("serious", "critical")


def places(page):
    """The views, and pages of what there is."""
    found = page.page.evaluate(
        """async (token) => {
             const ask = async (path) => (await (await fetch(`/api/v1/${path}`, { headers: { Authorization: `Bearer ${token}` } })).json()).items[0];
             return { alert: (await ask("alerts?detection=EGR-NOTALLOWED")).id, incident: (await ask("incidents")).number, equipment: (await ask("equipment")).id };
           }""", page.token)
    return {
        "overview": "#/", "incidents": "#/incidents", "incident": f"#/incidents/{found['incident']}", "alerts": "#/alerts",
        "alert": f"#/alerts/{found['alert']}", "suppressions": "#/suppressions?show=all", "equipment": "#/equipment",
        "node": f"#/equipment/{found['equipment']}", "topology": "#/topology?hours=168", "sessions": "#/sessions", "policy": "#/policy",
        "detections": "#/detections", "detection": "#/detections/GTP-ORPHAN", "audit": "#/audit",
    }


def check(page, name, size, out):
    """One view as it stands."""
    wide = page.page.evaluate("[document.documentElement.scrollWidth, innerWidth]")
    assert wide[0] <= wide[1], f"{name}: {wide[0]} pixels on a screen of {wide[1]}"
    # By the debugger's way: the page's own rules let no foreign script run.
    session = page.page.context.new_cdp_session(page.page)
    expression = AXE + ";axe.run(document, { resultTypes: ['violations'] }).then((found) => JSON.stringify(found.violations))"
    told = session.send("Runtime.evaluate", {"expression": expression, "awaitPromise": True, "returnByValue": True, "allowUnsafeEvalBlockedByCSP": True})
    session.detach()
    violations = json.loads(told["result"]["value"])
    grave = [f"{one['id']}: {one['help']}: {node['html'][:200]}: {node['failureSummary'][:300]}"
             for one in violations if one["impact"] in GRAVE for node in one["nodes"][:3]]
    assert not grave, f"{name} at {size}:\n" + "\n".join(grave)
    page.picture(out, full_page=True)


def dialogs(page, size, out):
    """What opens over a view, and the way out of it."""
    page.page.click("main button[data-key=m]")
    page.page.wait_for_function("() => document.querySelector('dialog .preview').textContent.includes('will be silenced')")
    check(page, "suppress", size, out.with_name(f"suppress-{out.name}"))
    page.key("Escape")
    page.page.wait_for_selector("dialog", state="detached")
    page.page.evaluate("document.activeElement.blur()")
    page.key("?")
    check(page, "keys", size, out.with_name(f"keys-{out.name}"))
    page.key("Escape")


def states(browser, asked, options, size):
    """Signed out, an unknown token, no such thing, nothing there."""
    context = browser.new_context(**options)
    page = driver.Page(context, asked.address, "weir_nobody_00")
    page.excused = ("401", "404")
    page.page.goto(f"http://{asked.address}/")
    page.page.wait_for_selector("main.signin")
    check(page, "signed-out", size, asked.out / f"signed-out-{size}.png")
    page.page.fill("input", page.token)
    page.key("Enter")
    page.page.wait_for_selector(".why")
    assert "not known" in page.page.inner_text(".why")
    page.page.fill("input", asked.token)
    page.key("Enter")
    page.settle()
    page.go("#/alerts/0123456789abcdef")
    check(page, "absent", size, asked.out / f"absent-{size}.png")
    assert "Go back to the list" in page.page.inner_text("main")
    page.go("#/alerts?equipment=nobody")
    check(page, "nothing", size, asked.out / f"nothing-{size}.png")
    page.page.click("header >> text=Sign out")
    page.page.wait_for_selector("main.signin")
    assert page.page.evaluate("sessionStorage.length") == 0
    page.is_clean()
    context.close()


def main():
    asked = driver.asked()
    checked = 0
    with driver.chromium() as browser:
        for width in (1280, 390):
            for scheme in ("light", "dark"):
                options = {"viewport": driver.size(width), "color_scheme": scheme, "reduced_motion": "reduce"}
                size = f"{width}-{scheme}"
                context = browser.new_context(**options)
                page = driver.Page(context, asked.address, asked.token)
                page.sign_in()
                page.page.wait_for_selector(".tile .number")
                for name, place in places(page).items():
                    page.go(place)
                    assert not page.page.query_selector("main > .failed"), f"{name}: {page.page.inner_text('main')}"
                    check(page, name, size, asked.out / f"{name}-{size}.png")
                    checked += 1
                    if name == "alert":
                        dialogs(page, size, asked.out / f"{size}.png")
                page.is_clean()
                context.close()
                states(browser, asked, options, size)
    driver.tell(checked=checked)


main()
