"""The page as text: what is in it, that it is one file, that what people named cannot become markup."""

import json
import os
import re
from html import unescape
from html.parser import HTMLParser
from pathlib import Path

import matplotlib
import pytest

from dartboard.errors import InputError
from dartboard.report import blocks, write_report
from dartboard.report.markup import Html, embedded_json, tag
from synthetic_runs import write_search, write_training

HOSTILE = "</script><script>alert('x')</script><img src=x onerror=alert(1)>&\"'"
VOID = {"meta", "input", "br", "link", "col", "hr"}


class Outline(HTMLParser):
    """Tags that do not close, addresses, and the text between tags."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.names: set[str] = set()
        self.addresses: list[str] = []
        self.ids: list[str] = []
        self.words: list[str] = []

    def handle_starttag(self, name: str, attributes: list[tuple[str, str | None]]) -> None:
        self.names.add(name)
        self.addresses += [value or "" for key, value in attributes if key in ("src", "href", "xlink:href", "action")]
        self.ids += [value or "" for key, value in attributes if key == "id"]
        assert not [key for key, _ in attributes if key.startswith("on")]
        if name not in VOID:
            self.open.append(name)

    def handle_startendtag(self, name: str, attributes: list[tuple[str, str | None]]) -> None:
        self.handle_starttag(name, attributes)
        if name not in VOID:
            self.handle_endtag(name)

    def handle_endtag(self, name: str) -> None:
        assert self.open.pop() == name

    def handle_data(self, data: str) -> None:
        if not {"script", "style"} & set(self.open):
            self.words.append(data)


def outline(page: Path) -> Outline:
    parser = Outline()
    parser.feed(page.read_text())
    parser.close()
    assert parser.open == []
    assert len(parser.ids) == len(set(parser.ids))
    return parser


def words_of(page: Path) -> str:
    return re.sub(r"\s+", " ", " ".join(outline(page).words))


def test_the_page_of_a_search_lies_in_its_folder_and_tells_answer_story_and_conditions(tmp_path: Path) -> None:
    folder = write_search(tmp_path / "my run")
    page = write_report([folder])
    assert page == folder / "report.html"
    said = words_of(page)
    for part in (
        "A cell for digits",
        "First-order DARTS",
        f"dartboard train '{folder}' --data digits",
        *("Normal cell", "Reduction cell", "Genotype(normal="),
        *("The search, epoch by epoch", "Relaxed normal cell", "Alpha, reduction cell", "Supernet and cell cut out"),
        *(
            "Entropy of alpha",
            "Skip connections",
            "Derived normal cell",
            "last changed at epoch",
            "Chance level is 10 %",
        ),
        *("Conditions", "Imaginary CPU", "second_order", "Lindauer and Hutter"),
    ):
        assert part in said, part


def test_the_page_asks_nothing_of_the_network_and_is_small_for_fifty_epochs(tmp_path: Path) -> None:
    page = write_report([write_search(tmp_path / "run", epochs=50, steps=40)])
    found = outline(page)
    assert page.stat().st_size < 1_000_000
    assert not {"link", "iframe", "img", "object"} & found.names
    assert all(address.startswith("#") for address in found.addresses)
    namespaces = re.compile(r'xmlns(:xlink)?="[^"]*"|"http://www.w3.org/2000/svg"|http-equiv')
    assert "http" not in namespaces.sub("", page.read_text())


def test_every_picture_has_words_for_those_who_do_not_see_it(tmp_path: Path) -> None:
    text = write_report([write_search(tmp_path / "run")]).read_text()
    pictures = re.findall(r"<svg [^>]*>", text)
    assert len(pictures) > 12
    for picture in pictures:
        assert "aria-hidden" in picture or re.search(r'role="img" aria-label="[^"]{20,}"', picture), picture


def test_the_numbers_in_the_page_are_those_of_the_files(tmp_path: Path) -> None:
    folder = write_search(tmp_path / "run", epochs=4)
    lines = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    text = write_report([folder]).read_text()
    data = json.loads(re.search(r'class="slider-data">(.*?)</script>', text)[1])  # type: ignore[index]
    logged = [line for line in lines if line["event"] in ("start", "epoch")]
    assert [frame["genotype"] for frame in data["frames"]] == [line["architecture"] for line in logged]
    assert [frame["epoch"] for frame in data["frames"]] == [-1, 0, 1, 2, 3]
    for line, table in zip(logged, data["kinds"]["normal"]["weights"], strict=True):
        for row, logits in zip(table, line["alpha_normal"], strict=True):
            assert sum(row) == pytest.approx(1, abs=1e-3)
            assert row.index(max(row)) == logits.index(max(logits))
    assert all(len(kept) == 8 for kind in data["kinds"].values() for kept in kind["kept"])
    assert f"{100 * lines[-1]['val_accuracy']:.1f} %" in text


def test_a_collapsed_normal_cell_is_told_at_the_top_with_whose_threshold_it_is(tmp_path: Path) -> None:
    said = words_of(write_report([write_search(tmp_path / "run", epochs=30, skip_pull=0.2)]))
    assert said.index("has collapsed") < said.index("The search, epoch by epoch")
    assert "is dartboard's own" in said
    assert "DARTS+" in said
    calm = words_of(write_report([write_search(tmp_path / "calm", epochs=30, skip_pull=-0.2)]))
    assert "has collapsed" not in calm
    assert "No sign of collapse" in calm


@pytest.mark.parametrize("command", ["search", "train"])
def test_a_run_without_a_finished_epoch_gets_a_page_that_says_so(tmp_path: Path, command: str) -> None:
    make = {"search": write_search, "train": write_training}[command]
    folder = make(tmp_path / "run", epochs=0)
    said = words_of(write_report([folder]))
    assert "has not finished an epoch" in said
    assert f"dartboard resume {folder}" in said
    (folder / "metrics.jsonl").unlink()
    assert "has not finished an epoch" in words_of(write_report([folder]))


def test_an_unfinished_run_says_so_before_its_numbers(tmp_path: Path) -> None:
    said = words_of(write_report([write_search(tmp_path / "run", epochs=3, finished=False, config={"epochs": 9})]))
    assert said.index("Not finished: 3 epochs of 9") < said.index("supernet, validation")


def test_the_page_of_a_training_tells_its_test_accuracy_and_links_its_search(tmp_path: Path) -> None:
    search = write_search(tmp_path / "runs" / "search")
    training = write_training(tmp_path / "runs" / "train", parent=search)
    assert "../search/report.html" not in outline(write_report([training])).addresses
    write_report([search])
    page = write_report([training])
    said = words_of(page)
    for part in (
        "right on images it never saw",
        "123,456",
        "which are only drawn and decide nothing",
        "test accuracy",
        "dartboard evaluate",
    ):
        assert part in said, part
    assert "../search/report.html" in outline(page).addresses


def test_a_search_and_its_training_are_told_as_one_story(tmp_path: Path) -> None:
    search = write_search(tmp_path / "search")
    training = write_training(tmp_path / "train", parent=search)
    out = tmp_path / "report.html"
    assert write_report([search, training], out=out) == out
    found = outline(out)
    assert [name for name in found.ids if "-" not in name] == [
        "answer",
        "story",
        "change",
        "sensitivity",
        "curves",
        "stability",
        "training",
        "conditions",
    ]
    said = words_of(out)
    parts = ("test accuracy", "Normal cell", "The search, epoch by epoch", "The training")
    places = [said.index(part) for part in parts]
    assert places == sorted(places)
    assert "Not finished" not in said
    again = write_training(tmp_path / "again", parent=search, finished=False, config={"epochs": 9})
    assert "Not finished: 5 epochs of 9" in words_of(write_report([search, again], out=out))


def test_several_runs_stand_side_by_side_with_their_spread_and_the_difference_of_cells(tmp_path: Path) -> None:
    searches = [write_search(tmp_path / f"search-{seed}", seed=seed) for seed in range(3)]
    trainings = [
        write_training(tmp_path / f"train-{name}-{seed}", name, seed=seed)
        for name in ("DARTS_V2", "PDARTS")
        for seed in (0, 1)
    ]
    page = write_report([*searches, *trainings])
    assert page == tmp_path / "report.html"
    said = words_of(page)
    for part in (
        "3 searches and 4 trainings",
        "mean (n = 3)",
        "std (n = 3)",
        "DARTS_V2",
        "PDARTS",
        "search-1 → search-2",
        "std with n − 1",
    ):
        assert part in said, part
    values = [
        json.loads((folder / "metrics.jsonl").read_text().splitlines()[-1])["test_accuracy"] for folder in trainings[:2]
    ]
    assert f"{100 * sum(values) / 2:.1f} %" in said
    assert "inputs in both" in said


def test_runs_of_other_settings_are_not_averaged_together(tmp_path: Path) -> None:
    one = write_training(tmp_path / "a", seed=0)
    other = write_training(tmp_path / "b", seed=1, config={"lr": 0.5})
    said = words_of(write_report([one, other]))
    assert "DARTS_V2, lr = 0.025" in said and "DARTS_V2, lr = 0.5" in said
    assert "Trainings here differ in lr" in said


def test_what_a_person_named_cannot_become_markup(tmp_path: Path) -> None:
    environment = {
        "device_name": HOSTILE, "commit": HOSTILE, "command_line": ["dartboard", HOSTILE], "parent": HOSTILE,
        "data": {"name": HOSTILE, "class_names": [HOSTILE], "fingerprint": HOSTILE, "train": 1, "val": 1, "test": 1},
    }  # fmt: skip
    config = {"data": HOSTILE, "method": HOSTILE, "data_dir": HOSTILE}
    one = write_search(tmp_path / "<b>run & 'co'", environment=environment, config=config)
    other = write_search(tmp_path / "<i>two", seed=1, environment=environment, config=config)
    for page in (write_report([one]), write_report([one, other])):
        found = outline(page)
        assert not {"img", "b", "i"} & found.names
        assert page.read_text().count("<script") <= 2
        assert HOSTILE in "".join(found.words)


def test_a_script_in_the_name_of_a_class_a_run_or_a_page_stays_text(tmp_path: Path) -> None:
    script = "<script>alert(1)<"  # no folder's name holds a slash
    data = {"name": f"images:/{script}", "num_classes": 2, "class_names": [script, "b"], "train": 30, "val": 30,
            "test": 20, "notes": [f"{script} has one image"]}  # fmt: skip
    search = write_search(tmp_path / f"search{script}", environment={"data": data}, config={"data": data["name"]})
    training = write_training(tmp_path / f"train{script}", parent=search, config={"data": data["name"]})
    again = write_training(tmp_path / f"again{script}", parent=search, seed=1)
    for folders in ([search], [training], [search, training], [search, training, again]):
        page = write_report(folders, out=tmp_path / f"page{script}.html")
        found = outline(page)
        assert page.read_text().count("<script") <= 2 and "&lt;script&gt;alert(1)" in page.read_text()
        assert script in "".join(found.words)


def test_no_flag_of_a_command_is_broken_at_a_hyphen(tmp_path: Path) -> None:
    line = "dartboard train 'a --b' --data digits --no-auxiliary --drop-path 0.0 <x>"
    shown = blocks.command(line, "Train it:")
    assert '<span class="flag">--no-auxiliary</span> <span class="flag">--drop-path</span> 0.0 &lt;x&gt;' in shown
    assert unescape(re.sub("<[^>]*>", "", shown.partition("<code>")[2].partition("</code>")[0])) == line
    page = write_report([write_search(tmp_path / "run")]).read_text()
    assert re.search(r"\.flag \{ white-space: nowrap; \}", page)
    assert page.count('<code>dartboard search darts <span class="flag">--data</span> digits</code>') == 1


def test_embedded_json_cannot_close_its_script_and_comes_back_unchanged() -> None:
    value = {"words": [HOSTILE, "\u2028", "ä"], "number": 0.25}
    encoded = embedded_json(value)
    assert encoded.count("</script>") == 1
    assert json.loads(encoded[encoded.index(">") + 1 : encoded.rindex("<")]) == value
    with pytest.raises(ValueError, match="not JSON compliant"):
        embedded_json(float("nan"))


def test_text_is_escaped_unless_it_is_html() -> None:
    assert tag("p", "<", Html("<b>x</b>"), class_='a"b') == '<p class="a&quot;b">&lt;<b>x</b></p>'


def test_a_weight_that_is_not_a_number_leaves_a_page_that_still_opens(tmp_path: Path) -> None:
    folder = write_search(tmp_path / "run", epochs=2, finished=False)
    lines = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    lines[-1]["alpha_normal"][3][2] = float("nan")
    lines[-1]["val_loss"] = float("inf")
    (folder / "metrics.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    assert "NaN" not in write_report([folder]).read_text()


@pytest.mark.parametrize("out", ["file/report.html", "no/such/folder/report.html", "folder"])
def test_a_page_that_cannot_be_written_is_one_line_and_leaves_nothing_behind(tmp_path: Path, out: str) -> None:
    run = write_search(tmp_path / "run", epochs=1)
    (tmp_path / "file").write_text("")
    (tmp_path / "folder").mkdir()
    with pytest.raises(InputError, match="cannot write the page") as error:
        write_report([run], out=tmp_path / out)
    assert "\n" not in str(error.value)
    assert not list(tmp_path.rglob("*.part"))


def test_no_folder_or_a_wrong_one_is_refused(tmp_path: Path) -> None:
    for folders in ([], [tmp_path / "nowhere"], [tmp_path]):
        with pytest.raises(InputError):
            write_report(folders)
    assert os.listdir(tmp_path) == []


def test_drawing_a_page_leaves_the_settings_of_matplotlib_alone(tmp_path: Path) -> None:
    before = dict(matplotlib.rcParams)
    write_report([write_search(tmp_path / "run", epochs=2)])
    assert dict(matplotlib.rcParams) == before


def test_the_same_files_give_the_same_page(tmp_path: Path) -> None:
    folder = write_search(tmp_path / "run", epochs=3)
    first = write_report([folder]).read_bytes()
    assert write_report([folder]).read_bytes() == first


def test_runs_may_be_given_as_objects_that_know_their_folder(tmp_path: Path) -> None:
    class Known:
        folder = write_search(tmp_path / "run", epochs=1)

    assert write_report([Known()]) == Known.folder / "report.html"


def test_the_headline_has_the_folders_name_and_the_figures_the_chance_level(tmp_path: Path) -> None:
    data = {"name": "images:/data/of mine/my photos", "num_classes": 8, "train": 30, "val": 30, "test": 20}
    search = write_search(tmp_path / "search", environment={"data": data})
    training = write_training(tmp_path / "train", parent=search)
    known = json.loads((training / "environment.json").read_text())
    (training / "environment.json").write_text(json.dumps({**known, "data": data}))
    for folders in ([search], [training], [search, training], [search, write_search(tmp_path / "other"), training]):
        page = write_report(folders, out=tmp_path / "page.html")
        top = re.search(r"<h1>.*?</h1>", page.read_text())
        assert top is not None and "of mine" not in top[0]
        assert ("my photos" in top[0]) == (len(folders) < 3)
        said = words_of(page)
        assert "chance 12.5 %" in said
        assert re.search(r">chance</text>|>chance<", page.read_text()) or len(folders) == 3  # 8 classes beside 10


def test_every_panel_has_a_title_and_the_cell_cut_out_is_said_not_to_be_trained(tmp_path: Path) -> None:
    search = write_search(tmp_path / "search", config={"stop": "skips:2", "stop_mode": "report"})
    training = write_training(tmp_path / "train", parent=search)
    other = write_search(tmp_path / "other", seed=1)
    for folders in ([search], [search, training], [search, other, training]):
        text = write_report(folders, out=tmp_path / "page.html").read_text()
        figures = re.findall(r"<figure.*?</figure>", text, flags=re.DOTALL)
        assert figures and all("<h3>" in figure for figure in figures)
        assert "cell cut out, not trained" in text
        assert "derived val accuracy" not in text and not re.search(r"light \d+ % to dark", text)
