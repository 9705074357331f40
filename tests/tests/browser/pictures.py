"""The documentation's pictures, of the demo's network while it is replayed."""

import io

from PIL import Image

import driver

COLOURS = 256


def keep(page, name, asked, height=800):
    """As small a file as shows the same: a screen has few colours."""
    page.page.set_viewport_size({"width": 1280, "height": height})
    shot = page.page.screenshot(animations="disabled")
    picture = Image.open(io.BytesIO(shot)).convert("RGB").quantize(COLOURS, method=Image.Quantize.MAXCOVERAGE, dither=Image.Dither.NONE)
    picture.save(asked.out / f"{name}.png", optimize=True)


def main():
    asked = driver.asked()
    with driver.chromium() as browser:
        for scheme in ("dark", "light"):
            context = browser.new_context(viewport=driver.size(1280), color_scheme=scheme, reduced_motion="reduce")
            page = driver.Page(context, asked.address, asked.token)
            page.sign_in()
            if scheme == "dark":
                page.page.wait_for_selector("main a[data-row]", timeout=60_000)
                page.page.wait_for_timeout(25_000)
                keep(page, "overview", asked)
            else:
                page.page.wait_for_selector("main a[data-row]")
                page.go(page.page.locator("main a[data-row]", has_text="EGR-NOTALLOWED").last.get_attribute("href"))
                keep(page, "incident", asked, 1060)
                # A flow is told of when it has ended.
                page.page.wait_for_selector("text=replay ended", timeout=90_000)
                page.go("#/topology?hours=24")
                keep(page, "topology", asked, 880)
            page.is_clean()
    driver.tell(pictures=3)


main()
