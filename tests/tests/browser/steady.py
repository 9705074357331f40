"""What changes by itself takes nothing out of anybody's hand, and what was missed is caught up with: a stream that the test tells."""

import contextlib
import json
import queue
import threading
import time

import driver
from between import ask, between

REVEALED = "main .panel:has(h2:text-is('Subscribers'))"


class Line:
    """The stream: a state a few times a second, what is told besides, and nothing while it is down."""

    def __init__(self, state):
        self.state, self.down, self.listeners = state, threading.Event(), []

    def stream(self, tell):
        heard = queue.Queue()
        self.listeners.append(heard)
        while not self.down.is_set():
            tell("state", self.state)
            with contextlib.suppress(queue.Empty):
                tell("alert", heard.get(timeout=0.2))

    def news(self, alert):
        for heard in self.listeners:
            heard.put(alert)


@contextlib.contextmanager
def answered(page, pattern, change):
    """What control answers, changed on its way to the page."""

    def answer(route):
        told = route.fetch()
        route.fulfill(response=told, body=json.dumps(change(told.json())))

    page.page.route(pattern, answer)
    yield
    page.page.unroute(pattern)


def shown(page, text, selector="main"):
    page.page.locator(selector, has_text=text).first.wait_for(state="attached")


def caught_up(page):
    """What the page was at when this is called is over: it had the time to ask twice."""
    for _ in range(2):
        page.page.evaluate("fetch('/ui/plain.js', { cache: 'reload' }).then((answer) => answer.text())")


def has_focus(page, selector):
    return page.page.evaluate("(selector) => document.activeElement.matches(selector)", selector)


def the_share_of_what_is_lost(page, line):
    for came, missed, says in ((1000, 1000, "100 %"), (1000, 999, "Over 99 %"), (1000, 500, "50 %"), (1000, 25, "2.50 %"), (10_000_000, 1, "Under 0.01 %")):
        line.state = {**line.state, "packets_per_second": came, "not_inspected_per_second": missed}
        shown(page, f"{says} of frames are not inspected", ".headline")
    line.state = {**line.state, "not_inspected_per_second": 0}
    shown(page, "Seeing everything", ".headline")


def a_line_that_is_broken_where_nobody_looked(page, line):
    pieces = lambda: page.page.evaluate("document.querySelector('.tile .spark .line').getAttribute('d').split('M').length - 1")
    assert pieces() == 1, pieces()
    line.state = {**line.state, "time": "2026-11-27T04:00:30.2Z"}
    page.page.wait_for_function("() => document.querySelector('.tile .spark .line').getAttribute('d').split('M').length === 3")
    # However long it was away.
    line.state = {**line.state, "time": "2031-11-27T04:00:30.2Z"}
    page.page.wait_for_function("() => document.querySelector('.tile .spark .line').getAttribute('d').split('M').length === 2")


def what_came_while_the_line_was_down(page, line, alert):
    def cut_and_mend():
        line.down.set()
        shown(page, "no connection", "header")
        line.down.clear()
        shown(page, "live", "header [role=status]")

    page.go("#/alerts")
    assert not page.page.is_visible("main .news")
    cut_and_mend()
    page.page.wait_for_selector("main .news:has-text('Alerts may have changed')")
    page.key("r")
    page.page.wait_for_selector("main .news", state="hidden")
    page.go("#/")
    with page.page.expect_request("**/api/v1/incidents?*"):
        cut_and_mend()
    page.go(f"#/alerts/{alert['id']}")
    with answered(page, f"**/api/v1/alerts/{alert['id']}", lambda told: {**told, "status": "acknowledged"}):
        cut_and_mend()
        page.page.wait_for_selector("main .status.acknowledged")
    page.go("#/")


def the_focus(page, line, alert):
    page.go(f"#/alerts/{alert['id']}")
    with contextlib.ExitStack() as stack:
        note = ""
        stack.enter_context(answered(page, f"**/api/v1/alerts/{alert['id']}", lambda told: {**told, "note": note, "subscribers": 1}))
        for number, focused in enumerate(("header .quiet.wide", "main [data-key=m]", "main .crumbs a", "main h1")):
            page.page.focus(focused)
            note = f"remark {number}"
            line.news({**alert, "note": note})
            shown(page, note, ".remark")
            assert has_focus(page, focused), f"{focused}: {page.focused()!r}"
        # Whatever somebody opened stays as it is.
        page.page.click("main details summary:has-text('EVE JSON')")
        note = "remark of another"
        line.news({**alert, "note": note})
        page.page.wait_for_selector("main .offered")
        assert page.page.locator("main details[open]").count() == 1
        assert note not in page.page.inner_text("main")
        page.page.click("main .offered")
        shown(page, note, ".remark")
        assert has_focus(page, "main h1") and not page.page.locator("main .offered, main details[open]").count()
        # So does a name that was revealed for a reason.
        page.page.route("**/reveal", lambda route: route.fulfill(json={"subscribers": [{"pseudonym": "h:0123456789abcdef", "addresses": ["10.60.0.7"]}]}))
        page.page.click(f"{REVEALED} >> text=Show …")
        page.page.fill("dialog textarea", "lawful request 12")
        note = "remark behind a dialog"
        line.news({**alert, "note": note})
        page.page.wait_for_selector("main .offered", state="attached")
        page.page.click("dialog button[type=submit]")
        shown(page, "10.60.0.7", REVEALED)
        line.news({**alert, "note": note})
        with page.page.expect_response(f"**/api/v1/alerts/{alert['id']}"):
            pass
        caught_up(page)
        assert "10.60.0.7" in page.page.inner_text(REVEALED)
        page.key("r")
        shown(page, note, ".remark")
        assert "10.60.0.7" not in page.page.inner_text("main")


def a_row_amid_a_flood(page, line, alert):
    """The incident is usable by the keyboard while alerts of it come all the time."""
    flooding = threading.Event()

    def flood():
        while not flooding.wait(0.1):
            line.news(alert)

    page.go(f"#/incidents/{alert['incident']}")
    page.key("j")
    row = page.page.evaluate_handle("document.activeElement")
    threading.Thread(target=flood, daemon=True).start()
    try:
        page.page.wait_for_selector("main .offered")
        assert row.evaluate("(row) => row.isConnected && row === document.activeElement")
        # And what is not in hand is drawn as it comes.
        page.page.focus("main h1")
        page.page.wait_for_selector("main .offered", state="detached")
        page.key("j")
        page.key("Enter")
        page.page.wait_for_url("**/#/alerts/*")
    finally:
        flooding.set()


def the_gravest_of_more_than_are_listed(page, alert, severity):
    few = lambda told: {"items": [{**one, "severity": "info"} for one in told["items"]], "next": "further"}
    with answered(page, "**/api/v1/alerts?incident=*limit=200*", few):
        page.go(f"#/incidents/{alert['incident']}")
        grave = page.page.locator("main .panel:has(h2:text-is('The gravest alert'))")
        assert severity in grave.locator(".badge").inner_text().lower(), grave.inner_text()
        asked = page.page.locator("main h2", has_text="Its alerts").inner_text()
        assert "the latest" in asked and "the gravest first" in asked, asked
    page.go(f"#/incidents/{alert['incident']}?all")
    assert page.page.is_visible("text=All its alerts")


def what_a_suppression_would_silence(page, alert):
    """The answer for a scope that is not chosen any more comes late, and counts for nothing."""
    page.go(f"#/alerts/{alert['id']}")
    late = []

    def answer(route):
        if late:
            route.fulfill(json={"items": [], "next": None})
        else:
            late.append(route)

    page.page.route("**/api/v1/alerts?detection=*", answer)
    page.key("m")
    page.page.wait_for_selector("dialog[open]")
    page.page.check("dialog input[name=scope][value='1']")
    shown(page, "0 stored alerts will be silenced", "dialog .preview")
    # One that the page gave up can't be answered any more, which is as good.
    with contextlib.suppress(Exception):
        late[0].fulfill(json={"items": [alert], "next": None})
    caught_up(page)
    assert "0 stored alerts" in page.page.inner_text("dialog .preview"), page.page.inner_text("dialog .preview")
    page.page.unroute("**/api/v1/alerts?detection=*")
    page.key("Escape")
    page.page.wait_for_selector("dialog", state="detached")


def keys_of_one_letter(page):
    page.go("#/")
    page.page.evaluate("document.activeElement.blur()")
    page.key("?")
    page.page.uncheck("dialog input[name=keys]")
    page.key("Escape")
    for _ in range(2):
        page.key("g", "a", "?")
        assert page.page.url.endswith("#/") and not page.page.locator("dialog").count()
        # It is remembered.
        page.page.reload()
        page.settle()
    page.page.click("header >> text=?")
    page.page.check("dialog input[name=keys]")
    page.key("Escape")
    page.page.wait_for_selector("dialog", state="detached")
    page.key("g", "a")
    page.page.wait_for_url("**/#/alerts")


def the_state_is_read_out_once(page, line):
    changes = page.page.evaluate_handle(
        """() => {
             const seen = { changes: 0 };
             new MutationObserver((found) => { seen.changes += found.length; })
               .observe(document.querySelector("header [role=status]"), { childList: true, subtree: true, characterData: true });
             return seen;
           }""")
    page.go("#/")
    line.state = {**line.state, "packets_per_second": 777}
    shown(page, "777", ".tile")
    assert changes.evaluate("(seen) => seen.changes") == 0
    line.state = {**line.state, "not_inspected_per_second": 1}
    shown(page, "losing frames", "header [role=status]")
    assert changes.evaluate("(seen) => seen.changes") > 0


def who_comes_after(page, asked):
    """A token in the address of a page that is open is another person's."""
    page.go("#/audit")
    page.page.evaluate("(token) => { location.hash = `token=${token}` }", asked.viewer)
    shown(page, "eve", "header .person")
    page.settle()
    assert page.page.evaluate("sessionStorage.getItem('weir.token')") == asked.viewer
    assert not page.page.is_visible("nav >> text=Audit")
    page.page.evaluate("location.hash = 'token=%20'")
    page.page.wait_for_function("() => location.hash === '#/'")
    assert page.page.evaluate("sessionStorage.getItem('weir.token')") == asked.viewer
    entries = page.page.evaluate("navigation.entries().map(({ url }) => url)")
    assert len(entries) > 2 and not [one for one in entries if "token" in one], entries
    # Whoever signs out before it is known who they are is out.
    held = []
    page.page.route("**/api/v1/health", lambda route: held.append(route))
    page.page.evaluate("(token) => { location.hash = `token=${token}` }", asked.token)
    shown(page, "Asking for who you are")
    page.page.click("header >> text=Sign out")
    page.page.wait_for_selector("main.signin")
    asks = []
    page.page.on("request", lambda request: asks.append(request.url))
    with contextlib.suppress(Exception):
        held[0].continue_()
    page.page.unroute("**/api/v1/health")
    caught_up(page)
    page.page.evaluate("location.hash = '#/alerts'")
    caught_up(page)
    assert page.page.is_visible("main.signin") and not [url for url in asks if "stream" in url or "alerts" in url], asks
    # And a token in the address is taken there too.
    page.page.evaluate("(token) => { location.hash = `token=${token}` }", asked.token)
    shown(page, "ada", "header .person")
    page.settle()


def main():
    asked = driver.asked("viewer")
    state = {**ask(asked.address, "state", asked.token), "up": True, "replay": False, "reason": None, "packets_per_second": 1000,
             "not_inspected_per_second": 0, "n4_coverage": None, "time": "2026-11-27T04:00:00.0Z"}
    line = Line(state)
    alert = ask(asked.address, "alerts?detection=EGR-NOTALLOWED", asked.token)["items"][0]
    severity = ask(asked.address, f"incidents/{alert['incident']}", asked.token)["severity"]
    address = between(asked.address, line.stream)
    took = {}
    with driver.chromium() as browser:
        page = driver.Page(browser.new_context(viewport=driver.size(1280)), address, asked.token)
        page.excused = ("ERR_INCOMPLETE_CHUNKED", "404", "401")
        page.sign_in()
        page.page.wait_for_selector(".tile .number")
        for scenario, more in (
            (the_share_of_what_is_lost, (line,)), (a_line_that_is_broken_where_nobody_looked, (line,)),
            (what_came_while_the_line_was_down, (line, alert)), (the_focus, (line, alert)), (a_row_amid_a_flood, (line, alert)),
            (the_gravest_of_more_than_are_listed, (alert, severity)), (what_a_suppression_would_silence, (alert,)),
            (keys_of_one_letter, ()), (the_state_is_read_out_once, (line,)), (who_comes_after, (asked,)),
        ):
            began = time.monotonic()
            scenario(page, *more)
            took[scenario.__name__] = round(time.monotonic() - began, 1)
        page.is_clean()
    driver.tell(**took)


main()
