"""The page in a real browser: the slider moves it, the keyboard works, nothing is fetched, nothing overflows."""

import re
import shutil
import xml.etree.ElementTree as ElementTree
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from dartboard.report import comparison_page, write_report
from synthetic_comparisons import on_data
from synthetic_runs import write_search, write_training, write_trials

playwright = pytest.importorskip("playwright.sync_api")
CHROMIUM = next(
    (path for name in ("chromium", "chromium-browser", "google-chrome") if (path := shutil.which(name))), None
)
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(CHROMIUM is None, reason="no chromium on this machine"),
]
QUIET = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
         "--disable-component-update", "--disable-sync"]  # fmt: skip
PAGES = ("search/report.html", "journey.html", "many.html", "groups.html", "compared/report.html")
CELLS_OUTSIDE = """() => [...document.querySelectorAll('svg.cell, svg.strip, .command code')].filter(element => {
  const box = element.getBoundingClientRect();
  return box.left < 0 || box.right > innerWidth;
}).length"""
SAVES_ASIDE = """() => [...document.querySelectorAll('.save')].map(button => {
  const panel = button.closest('figure'), style = getComputedStyle(panel);
  const edge = parseFloat(style.paddingRight) + parseFloat(style.borderRightWidth);
  const inner = panel.getBoundingClientRect().right - edge;
  return Math.abs(inner - button.getBoundingClientRect().right);
}).filter(aside => aside > 0.5)"""
BACKGROUND = "getComputedStyle(document.body).backgroundColor"
FILL = "getComputedStyle(document.querySelector('svg.%s text')).fill"
WIDTHS = "[...document.querySelectorAll('[data-kind=normal] .relaxed path')].map(path => path.style.strokeWidth).join()"
HEATS = "[...document.querySelectorAll('[data-kind=reduce] .box text')].map(text => text.textContent).join()"
PARTS_TOO_WIDE = """() => [...document.querySelectorAll('body *')].filter(element =>
  !element.closest('.scroll, pre, svg, .skip') && element.getBoundingClientRect().right > innerWidth + 0.5
).map(element => element.tagName + '.' + element.className)"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the pages search/report.html, journey.html, many.html, groups.html and compared/report.html."""
    place = tmp_path_factory.mktemp("pages")
    search = write_search(place / "search", epochs=8, environment={"device_name": "A processor with a " + "long" * 30})
    training = write_training(place / "train", parent=search)
    write_report([search])
    write_report([training])
    write_report([search, training], out=place / "journey.html")
    write_report([write_trials(place / "trials")])
    others = [write_search(place / f"{'other' * 8}-{seed}", epochs=3, seed=seed) for seed in (1, 2)]
    write_report([search, *others, training], out=place / "many.html")
    groups = [(method, seed) for method in ("random_search", "evolution" * 5) for seed in (0, 1)]
    trials = [write_trials(place / f"{method}-{seed}", seed=seed, method=method) for method, seed in groups]
    write_report(trials, out=place / "groups.html")
    (place / "compared").mkdir()
    comparison_page.write(on_data(), place / "compared")
    return place


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with playwright.sync_playwright() as driver:
        found = driver.chromium.launch(executable_path=CHROMIUM, args=QUIET)
        yield found
        found.close()


class Visit:
    """A page that is open, with all that went wrong and all that was asked for."""

    def __init__(self, browser: Any, path: Path, **options: Any) -> None:
        self.context = browser.new_context(**options)
        self.page = self.context.new_page()
        self.wrong: list[str] = []
        self.asked: list[str] = []
        self.page.on("console", lambda message: self.wrong.append(message.text))
        self.page.on("pageerror", lambda error: self.wrong.append(str(error)))
        self.page.on("request", lambda request: self.asked.append(request.url))
        self.page.goto(path.as_uri())

    def state(self) -> tuple[str, str, str]:
        """Thickness of the relaxed edges, numbers of the heat map, the line about the epoch."""
        return self.page.evaluate(WIDTHS), self.page.evaluate(HEATS), self.page.text_content(".readout")


@pytest.fixture
def visit(browser: Any, folder: Path) -> Iterator[Any]:
    opened: list[Visit] = []

    def begin(name: str, **options: Any) -> Visit:
        opened.append(Visit(browser, folder / name, **options))
        return opened[-1]

    yield begin
    for one in opened:
        one.context.close()
    assert [message for one in opened for message in one.wrong] == []


def test_the_slider_moves_the_relaxed_cells_the_heat_maps_and_the_words(visit: Any) -> None:
    one = visit("journey.html")
    seen = [one.state()]
    assert "epoch 7" in seen[0][2]
    for index in (0, 3, 5):
        one.page.locator(".slider").fill(str(index))
        seen.append(one.state())
    assert "before the first step" in seen[1][2]
    assert "epoch 2" in seen[2][2]
    for part in range(3):
        assert len({state[part] for state in seen}) == 4
    one.page.locator(".slider").fill("8")
    assert one.state() == seen[0]


def test_keys_and_buttons_move_the_slider(visit: Any) -> None:
    one = visit("journey.html")
    slider = one.page.locator(".slider")
    slider.focus()
    last = one.state()
    one.page.keyboard.press("ArrowLeft")
    before = one.state()
    assert before != last
    assert slider.get_attribute("aria-valuetext") == "epoch 6"
    one.page.keyboard.press("Home")
    assert slider.get_attribute("aria-valuetext") == "start"
    one.page.keyboard.press("End")
    assert one.state() == last
    one.page.get_by_label("One epoch back").focus()
    one.page.keyboard.press("Enter")
    assert one.state() == before
    one.page.get_by_label("One epoch forward").click()
    assert one.state() == last


def test_play_runs_from_the_start_and_can_be_paused(visit: Any) -> None:
    one = visit("journey.html")
    play = one.page.locator(".play")
    play.click()
    playwright.expect(one.page.locator(".readout")).to_contain_text(re.compile(r"epoch \d"))
    play.click()
    assert play.text_content() == "Play"
    paused = one.state()
    one.page.wait_for_timeout(600)
    assert one.state() == paused


def test_every_control_can_be_reached_with_the_tab_key(visit: Any) -> None:
    one = visit("journey.html")
    reached = set()
    for _ in range(60):
        one.page.keyboard.press("Tab")
        reached.add(one.page.evaluate("document.activeElement.className || document.activeElement.tagName"))
    assert {"skip", "save", "copy", "step", "play", "slider"} <= reached


def test_the_lit_edges_are_the_derived_ones(visit: Any) -> None:
    one = visit("journey.html")
    for index in (0, 4, 8):
        one.page.locator(".slider").fill(str(index))
        lit = one.page.locator("[data-kind=normal] .relaxed.lit title").all_text_contents()
        framed = one.page.locator("[data-kind=normal] .box.kept").count()
        assert (len(lit), framed) == (8, 8)
        label = one.page.locator("[data-kind=normal] svg.cell").get_attribute("aria-label")
        genotype = one.page.text_content(".now")
        for title in lit:
            operation = title.split(": ")[1].split(" ")[0]
            assert f"'{operation}'" in genotype
            assert operation in label


def test_nothing_is_asked_of_the_network(visit: Any, folder: Path) -> None:
    for name in PAGES:
        assert visit(name).asked == [(folder / name).as_uri()]


@pytest.mark.parametrize("name", PAGES)
def test_the_page_never_scrolls_sideways(visit: Any, name: str) -> None:
    one = visit(name)
    for width in (390, 820, 1280):
        one.page.set_viewport_size({"width": width, "height": 844})
        assert one.page.evaluate("document.documentElement.scrollWidth") <= width
        assert one.page.evaluate(PARTS_TOO_WIDE) == []


@pytest.mark.parametrize("name", PAGES)
def test_a_phone_shows_whole_cells_and_commands_and_every_save_stands_at_the_right(visit: Any, name: str) -> None:
    one = visit(name)
    for width in (400, 1280):
        one.page.set_viewport_size({"width": width, "height": 844})
        assert one.page.evaluate("document.documentElement.scrollWidth") <= width
        assert one.page.evaluate(CELLS_OUTSIDE) == 0
        assert one.page.evaluate(SAVES_ASIDE) == []
        assert one.page.evaluate(
            "[...document.querySelectorAll('pre')].every(one => one.scrollWidth <= one.clientWidth)"
        )


def test_a_strip_of_cells_takes_as_many_columns_as_there_is_room_for(visit: Any) -> None:
    one = visit("search/report.html")
    columns = """() => { const tops = [...document.querySelector('svg.strip').querySelectorAll('.thumb')]
      .map(thumb => Math.round(thumb.getBoundingClientRect().top));
      return tops.filter(top => top === tops[0]).length; }"""
    seen = []
    for width in (1280, 400, 1280):
        one.page.set_viewport_size({"width": width, "height": 844})
        one.page.wait_for_timeout(50)
        seen.append(one.page.evaluate(columns))
    assert seen == [8, 3, 8]


def test_the_table_of_the_front_keeps_a_gap_to_the_panels_above_it(visit: Any) -> None:
    one = visit("trials/report.html")
    gap = """() => document.querySelector('#trials .table').getBoundingClientRect().top
      - document.querySelector('#trials .trio').getBoundingClientRect().bottom"""
    for width in (400, 1280):
        one.page.set_viewport_size({"width": width, "height": 844})
        assert one.page.evaluate(gap) >= 20


def test_what_stands_below_the_curves_of_a_training_keeps_a_gap_to_them(visit: Any) -> None:
    one = visit("train/report.html")
    one.page.evaluate("document.querySelector('.trio').insertAdjacentHTML('afterend', '<figure class=picture>')")
    gap = """() => document.querySelector('.trio + .picture').getBoundingClientRect().top
      - document.querySelector('.trio').getBoundingClientRect().bottom"""
    for width in (400, 1280):
        one.page.set_viewport_size({"width": width, "height": 844})
        assert one.page.evaluate(gap) >= 20


def test_dark_and_light_and_print_have_their_own_colours(visit: Any) -> None:
    one = visit("journey.html", color_scheme="light")
    look = f"[{BACKGROUND}, {FILL % 'cell'}, {FILL % 'curves'}]"
    light = one.page.evaluate(look)
    one.page.emulate_media(color_scheme="dark")
    dark = one.page.evaluate(look)
    assert all(a != b for a, b in zip(light, dark, strict=True))
    one.page.emulate_media(color_scheme="dark", media="print")
    assert one.page.evaluate(look)[1:] == light[1:]
    assert one.page.locator(".play").is_hidden()


def test_every_kind_of_picture_can_be_saved_as_an_svg_of_its_own(visit: Any, tmp_path: Path) -> None:
    one = visit("journey.html", accept_downloads=True)
    for kind in ("svg.cell", "svg.heat", "svg.history", "svg.curves"):
        figure = one.page.locator("figure", has=one.page.locator(kind)).first
        with one.page.expect_download() as download:
            figure.locator(".save").click()
        path = tmp_path / download.value.suggested_filename
        download.value.save_as(path)
        written = path.read_text()
        root = ElementTree.fromstring(written)
        assert root.tag == "{http://www.w3.org/2000/svg}svg"
        assert root.attrib["width"]
        assert "var(" not in written
        drawn = [element for element in root.iter() if element.tag.split("}")[-1] in ("path", "rect")]
        assert all("fill:" in element.attrib["style"] for element in drawn)


def test_the_command_can_be_copied(visit: Any) -> None:
    one = visit("journey.html", permissions=["clipboard-read", "clipboard-write"])
    one.page.locator(".copy").click()
    playwright.expect(one.page.locator(".copy")).to_have_text(re.compile("Copied|Selected"))
