"""How long the analyst's page takes until a view is drawn whole, in a real Chromium.

Opens each view some times, between two others, and prints the milliseconds of each as JSON.
"""

import argparse
import json

from playwright.sync_api import sync_playwright

TIMES = 7
FLAGS = ["--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking", "--disable-component-update", "--disable-sync"]
VIEWS = {
    "the overview with its open incidents": "#/",
    "open incidents": "#/incidents",
    "an incident": "#/incidents/1",
    "the latest alerts": "#/alerts",
    "alerts of one node": "#/alerts?equipment=gnb-7",
    "equipment": "#/equipment",
    "one node": "#/equipment/gnb-7",
    "topology": "#/topology",
}
# From the address until nothing is awaited any more and the picture was drawn.
OPENED = """
async (place) => {
  const began = performance.now();
  location.hash = place;
  const frame = () => new Promise(requestAnimationFrame);
  const isWhole = () => {
    const main = document.querySelector("main");
    return main?.ariaBusy === "false" && main.dataset.shows === place && !main.querySelector(".loading, .failed")
      && (place !== "#/" || main.querySelector("a[data-row]"));
  };
  while (!isWhole()) {
    if (performance.now() - began > 60_000) throw new Error(`${place} is not drawn: ${document.querySelector("main")?.innerText}`);
    await frame();
  }
  await frame();
  return performance.now() - began;
}
"""


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("address")
    address = parser.parse_args().address
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path="/usr/bin/chromium", headless=True, args=FLAGS)
        page = browser.new_page(viewport={"width": 1280, "height": 800})
        page.goto(f"http://{address}/")
        page.wait_for_selector("main a[data-row]", timeout=60_000)
        took = {}
        for name, place in VIEWS.items():
            took[name] = []
            for _ in range(TIMES):
                page.evaluate(OPENED, "#/detections")
                took[name].append(page.evaluate(OPENED, place))
        browser.close()
    print(json.dumps(took))


main()
