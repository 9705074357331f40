"""Names that want to be more than names: markup, marks that turn the direction, controls, four kilobytes. All are text."""

import copy
import json

import driver

MARKUP = "<script>window.caught = 1</script><img src=x onerror='window.caught = 2'>"
TURNED = "invoice\u202egnp.exe\u2066\u200b"
BROKEN = "a\u0000b\u001b[31mc\r\nd"
LONG = "very-long-label." * 256
NAMES = [MARKUP, TURNED, BROKEN, LONG, "javascript:window.caught=3", "]]>{{7*7}}${7*7}"]


def poison(value, names):
    """Every text of an answer becomes a hostile one, but for those that say which of few it is."""
    if isinstance(value, dict):
        kept = ("detection", "severity", "status", "id", "first", "last", "changed", "state", "worst", "class", "key", "from", "to", "time", "role", "name_of", "created", "until")
        return {key: inner if key in kept and not isinstance(inner, (dict, list)) else poison(inner, names) for key, inner in value.items()}
    if isinstance(value, list):
        return [poison(inner, names) for inner in value]
    if isinstance(value, str):
        names.append(names.pop(0))
        return names[0]
    return value


def main():
    asked = driver.asked()
    with driver.chromium() as browser:
        for width in (1280, 390):
            page = driver.Page(browser.new_context(viewport=driver.size(width)), asked.address, asked.token)
            page.sign_in()
            names = copy.copy(NAMES)

            def answer(route):
                answered = route.fetch()
                if "json" not in answered.headers.get("content-type", "") or not answered.ok:
                    route.fulfill(response=answered)
                    return
                route.fulfill(response=answered, body=json.dumps(poison(answered.json(), names)))

            alert = page.page.evaluate(
                "async (token) => (await (await fetch('/api/v1/alerts?detection=EGR-NOTALLOWED', { headers: { Authorization: `Bearer ${token}` } })).json()).items[0]", page.token)
            for part in ("alerts*", "alerts/*", "incidents*", "incidents/*", "equipment*", "equipment/*", "topology*", "sessions*", "suppressions", "audit*", "policy"):
                page.page.route(f"**/api/v1/{part}", answer)
            for name, place in {
                "alert": f"#/alerts/{alert['id']}", "incident": f"#/incidents/{alert['incident']}", "alerts": "#/alerts", "incidents": "#/incidents",
                "equipment": "#/equipment", "node": f"#/equipment/{alert['equipment']}", "topology": "#/topology?hours=168", "sessions": "#/sessions", "policy": "#/policy",
                "suppressions": "#/suppressions?show=all",
            }.items():
                page.go(place)
                main = page.page.query_selector("main")
                assert not page.page.query_selector("main > .failed"), f"{name}: {main.inner_text()[:500]}"
                assert page.page.evaluate("window.caught") is None, name
                made = page.page.evaluate("document.querySelectorAll('main script, main iframe, main img, main [onerror], main [href^=javascript]').length")
                assert made == 0, f"{name}: {made} elements that a name made"
                text = page.page.evaluate("document.querySelector('main').textContent")
                hidden = [hex(ord(sign)) for sign in text if sign in "\u202e\u2066\u200b\u0000\u001b"]
                assert not hidden, f"{name}: {hidden}"
                wide = page.page.evaluate("[document.documentElement.scrollWidth, innerWidth]")
                assert wide[0] <= wide[1], f"{name}: {wide[0]} pixels on a screen of {wide[1]}"
                if name in ("alert", "equipment"):
                    assert MARKUP.split(">")[0] in text and "⟨U+202E⟩" in text and "⟨U+0000⟩" in text, f"{name}: {text[:2000]}"
                page.picture(asked.out / f"hostile-{name}-{width}.png", full_page=True)
            # What is cut can be had whole.
            page.go(f"#/alerts/{alert['id']}")
            cut = page.page.locator("details.cut", has_text="very-long-label").first
            cut.locator("summary").click()
            assert cut.locator(".whole").inner_text().replace("\n", "") == LONG
            page.is_clean()
    driver.tell(names=len(NAMES))


main()
