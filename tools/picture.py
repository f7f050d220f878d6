"""The picture of the page in the README, taken of an app that serves on this machine.

python -m tools.picture http://localhost:7071        writes docs/page.png
"""

import argparse

import requests
from playwright.sync_api import sync_playwright

from demo.part import ROOT

_PICTURE = ROOT / "docs/page.png"
_JOBS = [
    ("primes", 4, "data"),
    ("crash", 4, "models"),
    ("checksum", 40, "data"),
    ("primes", 30, "ops"),
]


def main() -> None:
    """Start some jobs, and take the picture once two of them have ended."""
    parser = argparse.ArgumentParser(prog="python -m tools.picture")
    parser.add_argument("url")
    url = parser.parse_args().url
    for workload, seconds, team in _JOBS:
        body = {
            "source": "demo",
            "job": {"workload": workload, "seconds": seconds},
            "pollIntervalSeconds": 2,
            "labels": {"team": team},
        }
        requests.post(f"{url}/api/monitors", json=body, timeout=10).raise_for_status()
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path="/usr/bin/chromium", args=["--no-sandbox"]
        )
        page = browser.new_page(viewport={"width": 1080, "height": 530})
        page.goto(f"{url}/api/ui")
        page.locator("table.monitors .Failed").first.wait_for()
        page.locator("table.monitors .Succeeded").first.wait_for()
        page.wait_for_timeout(11_000)  # the counts follow
        page.screenshot(path=_PICTURE)
        browser.close()
    print(f"{_PICTURE.stat().st_size:>9,}  {_PICTURE.relative_to(ROOT)}")


if __name__ == "__main__":
    main()
