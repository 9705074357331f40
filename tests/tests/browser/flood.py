"""A page that is left open while 100,000 alerts come through the stream: what it keeps is bounded."""

import threading
import time

import driver
from between import ask, between

ALERTS = 100_000
BURST = 500
# Nodes of the document, and bytes of the heap, that may come on top of what the page had.
NODES = 1_500
HEAP = 8 << 20


def flood(alert, state):
    """A stream of alerts, from `begin` on; `told` is set after the last, and `away` makes the sensor be away."""
    begin, told, away = threading.Event(), threading.Event(), threading.Event()

    def stream(tell):
        tell("state", state)
        while not begin.wait(0.5):
            tell("state", state)
        for burst in range(ALERTS // BURST):
            for number in range(BURST):
                tell("alert", {**alert, "id": f"{burst * BURST + number:016x}"})
            tell("state", {**state, "packets_per_second": burst})
            time.sleep(0.02)
        tell("missed", {"alerts": 7})
        told.set()
        while True:
            gone = {"up": False, "replay": False, "reason": "no sensor is attached"} if away.is_set() else {}
            tell("state", {**state, "packets_per_second": 123_456, **gone})
            time.sleep(0.2)

    return stream, begin, told, away


def measure(session):
    session.send("HeapProfiler.collectGarbage")
    found = {one["name"]: one["value"] for one in session.send("Performance.getMetrics")["metrics"]}
    return found["Nodes"], found["JSHeapUsedSize"]


def main():
    asked = driver.asked()
    alert = ask(asked.address, "alerts?limit=1", asked.token)["items"][0]
    stream, begin, told, away = flood(alert, ask(asked.address, "state", asked.token))
    address = between(asked.address, stream)
    with driver.chromium() as browser:
        page = driver.Page(browser.new_context(viewport=driver.size(1280)), address, asked.token)
        page.sign_in()
        page.page.wait_for_selector(".tile .number")
        session = page.page.context.new_cdp_session(page.page)
        session.send("Performance.enable")
        before = measure(session)
        begin.set()
        began = time.monotonic()
        # The page stays usable amid the flood: it goes elsewhere and back.
        page.go("#/alerts")
        page.go("#/incidents/1")
        page.go("#/")
        while not told.is_set():
            assert time.monotonic() - began < 240, "the stream does not end"
            page.page.wait_for_timeout(200)
        page.page.wait_for_function("() => document.querySelector('.tile .number')?.textContent === '123'", timeout=60_000)
        after = measure(session)
        elements = page.page.evaluate("document.querySelectorAll('*').length")
        away.set()
        page.page.wait_for_selector("text=The sensor is away")
        assert "No sensor is attached. Nothing is inspected." in page.page.inner_text(".sight-head"), page.page.inner_text(".sight-head")
        assert "sensor away" in page.page.inner_text("header")
        page.picture(asked.out / "sensor-away.png")
        page.is_clean()
        found = {"nodes": [before[0], after[0]], "heap": [before[1], after[1]], "elements": elements}
        assert after[0] - before[0] < NODES and elements < NODES, found
        assert after[1] - before[1] < HEAP, found
        driver.tell(**found)


main()
