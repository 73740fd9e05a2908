"""One HTML file over run folders: styles, script and pictures inside, nothing fetched from anywhere."""

import base64
import hashlib
import os
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path

import dartboard
from dartboard.errors import InputError
from dartboard.paths import quoted
from dartboard.report import compare_page, search_page, train_page, trials_page, words
from dartboard.report.architecture_names import published_name
from dartboard.report.blocks import command, tiles
from dartboard.report.cells import cells
from dartboard.report.chain import chain_of, joined
from dartboard.report.conditions import conditions, state_words
from dartboard.report.epoch_slider import slider_section
from dartboard.report.facts import Facts, parent_of, read_facts
from dartboard.report.markup import Html, join, tag
from dartboard.report.measures import has_cells
from dartboard.report.runs_compared import parts_of
from dartboard.runs.atomic_files import as_bytes
from dartboard.runs.targets import write_target
from dartboard.spaces import darts
from dartboard.spaces.search_space import Architecture

# Sections that the navigation links to: the id of the element, its word.
PLACES = (
    ("answer", "Answer"),
    ("story", "Epochs"),
    ("trials", "Trials"),
    ("supernet", "Supernet"),
    ("space", "Space"),
    ("change", "Change"),
    ("sensitivity", "Sensitivity"),
    ("training", "Training"),
    ("trainings", "Trainings"),
    ("searches", "Searches"),
    ("differences", "Differences"),
    ("conditions", "Conditions"),
)


@dataclass(frozen=True)
class Page:
    """What differs between the kinds of page: words at the top, the answer, the sections."""

    eyebrow: str
    title: str
    lede: str
    answer: Html
    sections: Html


def write(folders: Sequence[Path], out: Path | None) -> Path:
    """Read the run folders, write the page, return its path. Raises InputError."""
    if not folders:
        raise InputError("name one run folder or several: dartboard report runs/demo/search")
    runs = [read_facts(folder) for folder in dict.fromkeys(folders)]
    place = out if out is not None else common_folder([facts.folder for facts in runs]) / "report.html"
    put(page_html(runs, place.parent), place, named=out is not None)
    return place


def common_folder(folders: Sequence[Path]) -> Path:
    """The folder itself, as it was given, or the innermost folder that contains them all."""
    return (
        folders[0] if len(folders) == 1 else Path(os.path.commonpath([os.path.abspath(folder) for folder in folders]))
    )


def put(text: str, path: Path, *, named: bool) -> None:
    """Writes a page; if a person named its file, through links and into devices. Raises as `write_target`."""
    if not named:
        return replace_text(path, text)
    try:
        write_target(path, text)
    except InputError as error:
        reason = str(error).removeprefix(f"cannot write {path}: ")
        raise InputError(f"cannot write the page {str(path)!r}: {reason}") from error


def replace_text(path: Path, text: str) -> None:
    """Writes a temporary file and renames it, so that a reader never sees half a page. Raises InputError."""
    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        part.write_bytes(as_bytes(text))
        part.replace(path)
    except OSError as error:
        part.unlink(missing_ok=True) if part.parent.is_dir() else None
        raise InputError(
            f"cannot write the page {str(path)!r}: {error.strerror or error}; give another --out"
        ) from None


def page_html(runs: Sequence[Facts], page_folder: Path) -> str:
    """The complete file. `page_folder`: the folder of the page, to which links are relative."""
    files_ = "config.toml, environment.json, metrics.jsonl and architecture.json of the runs"
    return document(page_of(runs, page_folder), PLACES, [conditions(runs)], files_)


def document(page: Page, places: Sequence[tuple[str, str]], more: Sequence[Html | None], source: str) -> str:
    """A complete file: the page, then more sections. places: (id, word) of what the navigation links to.

    source: the files from which it was written, in words.
    """
    main = tag("main", opening(page), page.sections, *more)
    there = [tag("a", word, href=f"#{name}") for name, word in places if f'id="{name}"' in main]
    body = [
        tag("a", "To the content", href="#answer", class_="skip"),
        tag("header", wordmark(), tag("nav", *there, aria_label="Sections"), class_="top"),
        main,
        tag("footer", f"Written by dartboard {dartboard.__version__} from {source}. No request leaves this file."),
        tag("script", Html(resource("page.js"))),
    ]
    head = tag("head", tag("meta", charset="utf-8"), *head_of(page))
    return f"<!doctype html>\n{tag('html', head, tag('body', *body), lang='en')}\n"


def head_of(page: Page) -> list[Html]:
    digest = base64.b64encode(hashlib.sha256(resource("page.js").encode()).digest()).decode()
    policy = f"default-src 'none'; style-src 'unsafe-inline'; script-src 'sha256-{digest}'; img-src data: blob:"
    return [
        tag("meta", http_equiv="Content-Security-Policy", content=policy),
        tag("meta", name="viewport", content="width=device-width, initial-scale=1"),
        tag("meta", name="color-scheme", content="light dark"),
        tag("title", f"{page.title} · dartboard"),
        tag("style", Html(resource("page.css"))),
    ]


def resource(name: str) -> str:
    return files("dartboard.report").joinpath(name).read_text(encoding="utf-8")


def wordmark() -> Html:
    rings = [
        tag("circle", cx=12, cy=12, r=radius, fill="none", stroke="currentColor", stroke_width=1.8)
        for radius in (10, 6)
    ]
    dart = tag("circle", cx=12, cy=12, r=2.4, fill="var(--accent)")
    return tag(
        "span", tag("svg", *rings, dart, viewBox="0 0 24 24", aria_hidden="true"), "dartboard", class_="wordmark"
    )


def opening(page: Page) -> Html:
    return tag(
        "section",
        tag("p", page.eyebrow, class_="eyebrow"),
        tag("h1", page.title),
        tag("p", page.lede, class_="lede"),
        page.answer,
        id="answer",
        class_="part first",
    )


def page_of(runs: Sequence[Facts], page_folder: Path) -> Page:
    """The page of these runs, of the kind that fits them."""
    searches = [facts for facts in runs if facts.command == "search"]
    trainings = [facts for facts in runs if facts.command != "search"]
    if len(runs) == 1:
        return single(runs[0], page_folder)
    if len(searches) == len(trainings) == 1 and belong(searches[0], trainings[0]) and trainings[0].epochs:
        return search_and_training(searches[0], trainings[0], page_folder)
    return comparison(searches, trainings, page_folder)


def single(facts: Facts, page_folder: Path) -> Page:
    if facts.trials or trains_paths(facts):
        return by_trials(facts)
    if not facts.epochs:
        return empty(facts)
    state = "" if facts.done else " · not finished"
    if facts.command == "search":
        took = words.duration(facts.number("elapsed_s"))
        title = f"A cell for {data_name(facts)}, {'found in' if facts.done else 'after'} {took}"
        eyebrow = f"Architecture search · {facts.method or ''} · seed {facts.config.get('seed', words.UNKNOWN)}{state}"
        chain = joined(chain_of(facts))
        return Page(
            eyebrow,
            title,
            search_page.lede(facts) + chain_words(chain),
            with_state(facts, search_page.answer(facts)),
            search_page.sections(chain),
        )
    share = words.percent(facts.number("test_accuracy"), facts.data.get("test"))
    known = published_name(facts.architecture)
    title = f"{known or 'A network'} on {data_name(facts)}: {share} right on images it never saw"
    eyebrow = f"Training from scratch · {data_name(facts)} · seed {facts.config.get('seed', words.UNKNOWN)}{state}"
    use = command(words.evaluate_command(facts.folder), "Score these weights again:")
    answer = join([train_page.answer(facts), use if facts.done else None])
    sections = train_page.sections(facts, page_folder)
    return Page(eyebrow, title, train_page.lede(facts), with_state(facts, answer), sections)


def trains_paths(facts: Facts) -> bool:
    """Whether this is a search whose epochs say nothing of an architecture: it trains a supernet by single paths."""
    told = any(epoch.architecture or epoch.weights for epoch in facts.history)
    return facts.command == "search" and bool(facts.epochs) and not told


def by_trials(facts: Facts) -> Page:
    """A search that scores architectures one by one."""
    state = "" if facts.done else " · not finished"
    eyebrow = f"Architecture search · {facts.method or ''} · seed {facts.config.get('seed', words.UNKNOWN)}{state}"
    answer = with_state(facts, trials_page.answer(facts))
    sections = join([trials_page.sections(facts), slider_section(facts)])
    return Page(eyebrow, trials_page.title(facts), trials_page.lede(facts), answer, sections)


def chain_words(facts: Facts) -> str:
    """A sentence that says from which runs this one continues; empty for a single run."""
    if not facts.swaps:
        return ""
    swaps = ", ".join(f"{swap.run} ({swap.data}) from epoch {swap.epoch} on" for swap in facts.swaps)
    runs = words.plural(len(facts.swaps) + 1, "run")
    return f" The search continues another one: below, epochs are counted through {runs}, with {swaps}."


def with_state(facts: Facts, answer: Html) -> Html:
    """The page of an unfinished run says so first."""
    return answer if facts.done else join([tag("p", state_words(facts), class_="box-note state"), answer])


def empty(facts: Facts) -> Page:
    what = "search" if facts.command == "search" else "training"
    lede = "No epoch has finished yet, so there is nothing to show but the conditions below."
    line = command(f"dartboard resume {quoted(facts.folder)}", "Resume it exactly where it stopped:")
    return Page(f"A {what} · {data_name(facts)}", f"This {what} has not finished an epoch", lede, line, Html(""))


def search_and_training(search: Facts, training: Facts, page_folder: Path) -> Page:
    """A search and the training of what it found, on one page."""
    share = words.percent(training.number("test_accuracy"), training.data.get("test"))
    title = f"A cell for {data_name(search)}: {share} right on images it never saw"
    eyebrow = f"Search and training · {search.method or ''} · {data_name(search)}"
    figures = tiles([*train_page.answer_tiles(training)[:-1], *times(search, training)])
    use = search_page.train_block(search, "Train this architecture again, or on other data:")
    answer = join([figures, search_page.alarm(search), cells(training.architecture, search.name), use])
    answer = with_state(search, with_state(training, answer))
    chain = joined(chain_of(search))
    lede = f"{search_page.lede(search)}{chain_words(chain)} {train_page.lede(training)}"
    sections = join([search_page.sections(chain), train_page.sections(training, page_folder)])
    return Page(eyebrow, title, lede, answer, sections)


def times(search: Facts, training: Facts) -> list[tuple[str, str, object]]:
    parts = [facts.number("elapsed_s") for facts in (search, training)]
    total = sum(part for part in parts if part is not None)
    remark = (
        f"search {words.duration(parts[0])}, training {words.duration(parts[1])}; {search_page.device_word(training)}"
    )
    return [("total time", words.duration(total), remark)]


def comparison(searches: Sequence[Facts], trainings: Sequence[Facts], page_folder: Path) -> Page:
    counts = [words.plural(len(searches), "search").replace("searchs", "searches")] if searches else []
    counts += [words.plural(len(trainings), "training")] if trainings else []
    names = list(dict.fromkeys(data_name(facts) for facts in [*searches, *trainings]))
    parts = parts_of([*searches, *trainings])
    beside = f"{' and '.join(counts)}, side by side"
    title = compare_page.title(parts)
    lede = "Each number with its spread. Runs count as repetitions only if their settings differ in the seed alone."
    waiting = [facts.name for facts in [*searches, *trainings] if not facts.done]
    if waiting:
        lede += f" Not finished: {', '.join(waiting)}."
    eyebrow = f"Comparison · {', '.join(names)}" + (f" · {beside}" if title else "")
    sections = compare_page.sections(parts, page_folder)
    return Page(eyebrow, title or beside, lede, compare_page.answer(parts), sections)


def belong(search: Facts, training: Facts) -> bool:
    """Whether the training trained what the search found."""
    parent = parent_of(training)
    return (parent is not None and parent.resolve() == search.folder.resolve()) or same(
        search.architecture, training.architecture
    )


def same(one: Architecture | None, other: Architecture | None) -> bool:
    if one is None or other is None or not has_cells(one) or not has_cells(other):
        return one is not None and one == other
    return darts.canonical(one) == darts.canonical(other)


def data_name(facts: Facts) -> str:
    """The data set in a word; if a table gives the scores, its file."""
    if facts.trials and "truth" in facts.config:
        return trials_page.table_name(facts)
    return words.short_data(facts.data.get("name") or facts.config.get("data") or "unknown data")
