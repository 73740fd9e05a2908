"""The page of a chain of runs in a real browser: strips that follow, a mark and a rest at the swap."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from dartboard.report import write_report
from test_cell_changes import write_chain
from test_report_in_browser import CHROMIUM, PARTS_TOO_WIDE, QUIET, Visit, playwright

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(CHROMIUM is None, reason="no chromium on this machine"),
]
NOW = "[...document.querySelectorAll('svg.strip .thumb.now')].map(thumb => Number(thumb.dataset.index))"
INDEX = "Number(document.querySelector('.slider').value)"
MARK = """() => { const mark = document.querySelector('.swap-mark').getBoundingClientRect();
  const slider = document.querySelector('.slider').getBoundingClientRect();
  return (mark.left + 1 - slider.left - 8) / (slider.width - 16); }"""


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A chain of 5 and 3 pictures: the first after the swap is number 5."""
    _, second = write_chain(tmp_path_factory.mktemp("chain"))
    return write_report([second])


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with playwright.sync_playwright() as driver:
        found = driver.chromium.launch(executable_path=CHROMIUM, args=QUIET)
        yield found
        found.close()


@pytest.fixture
def visit(browser: Any, page: Path) -> Iterator[Visit]:
    one = Visit(browser, page, accept_downloads=True)
    yield one
    one.context.close()
    assert one.wrong == []
    assert one.asked == [page.as_uri()]


def test_the_strips_follow_the_slider_and_a_click_moves_it(visit: Visit) -> None:
    assert visit.page.evaluate(NOW) == [7, 7]
    visit.page.locator(".slider").fill("2")
    assert visit.page.evaluate(NOW) == [2, 2]
    visit.page.locator("svg.strip").first.locator(".thumb").nth(5).click()
    assert visit.page.evaluate(INDEX) == 5
    assert "epoch 4 · epoch 0 of second" in visit.page.text_content(".readout")
    assert visit.page.evaluate(MARK) == pytest.approx(4.5 / 7, abs=0.01)


def test_the_animation_rests_at_the_swap(visit: Visit) -> None:
    visit.page.clock.install(time=0)
    visit.page.clock.pause_at(10**9)  # from here on, time passes in `run_for` alone
    visit.page.locator(".slider").fill("3")
    visit.page.locator(".play").click()
    visit.page.clock.run_for(430)
    assert visit.page.evaluate(INDEX) == 4
    visit.page.clock.run_for(1500)
    assert visit.page.evaluate(INDEX) == 4
    visit.page.clock.run_for(200)
    assert visit.page.evaluate(INDEX) == 5
    visit.page.clock.run_for(3000)
    assert visit.page.evaluate(INDEX) == 7
    assert visit.page.text_content(".play") == "Play"


def test_the_page_of_a_chain_never_scrolls_sideways_and_its_strip_can_be_saved(visit: Visit, tmp_path: Path) -> None:
    for width in (390, 1280):
        visit.page.set_viewport_size({"width": width, "height": 844})
        assert visit.page.evaluate("document.documentElement.scrollWidth") <= width
        assert visit.page.evaluate(PARTS_TOO_WIDE) == []
    figure = visit.page.locator("figure", has=visit.page.locator("svg.strip")).first
    with visit.page.expect_download() as download:
        figure.locator(".save").click()
    download.value.save_as(tmp_path / "strip.svg")
    written = (tmp_path / "strip.svg").read_text()
    assert "var(" not in written
    assert len(re.findall(r'class="thumb[ "]', written)) == 8
