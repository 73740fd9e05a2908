"""What bench.py has measured, as JSON, as Markdown tables between two marks of a page, and as one picture."""

import datetime
import json
import platform
import subprocess
from pathlib import Path
from typing import Any

BEGIN, END = "<!-- written by benchmarks/bench.py: begin -->", "<!-- written by benchmarks/bench.py: end -->"
PAGE = f"""# Performance

What the fast forms bring against the plain ones, measured by one command: `make bench`.

{BEGIN}
{END}
"""
GROWTH = ("varied", "from", "to", "at", "n", "seconds for one more", "r²", "growth at the end", "of the work")
LABELS = {"channels": "channels C", "batch_size": "images a batch", "image_size": "pixels a side"}


def conditions(threads: int, quick: bool) -> dict[str, Any]:
    """Date, machine, threads, versions, commit."""
    import torch

    import dartboard

    versions = {"dartboard": dartboard.__version__, "torch": torch.__version__, "python": platform.python_version()}
    date = datetime.datetime.now(datetime.UTC).date().isoformat()
    return {"date": date, "processor": processor(), "threads": threads, "quick": quick, "commit": commit(), **versions}


def processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        lines = []
    names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()


def commit() -> str:
    words = ["git", "-C", str(Path(__file__).parent), "rev-parse", "--short", "HEAD"]
    done = subprocess.run(words, capture_output=True, text=True)
    return done.stdout.strip() or "unknown"


def write(out: Path, record: dict[str, Any], took_s: float) -> None:
    """OUT.json, OUT-growth.svg, and the tables in OUT.md, whose other text stays."""
    out.parent.mkdir(parents=True, exist_ok=True)
    picture, page = out.with_name(f"{out.name}-growth.svg"), out.with_suffix(".md")
    out.with_suffix(".json").write_text(json.dumps({**record, "took_s": took_s}, indent=1) + "\n")
    draw(record["growth"], picture)
    text = page.read_text() if page.exists() else PAGE
    before, after = text.split(BEGIN)[0], text.split(END)[-1]
    page.write_text(f"{before}{BEGIN}\n{section(record, picture.name, took_s)}{END}{after}")
    print(f"{page}, {picture} and {out.with_suffix('.json')}, {took_s:.0f} s")


def section(record: dict[str, Any], picture: str, took_s: float) -> str:
    told = record["conditions"]
    where = f"{told['processor']}, {told['threads']} threads, torch {told['torch']}, Python {told['python']}"
    kind = " (`--quick`: small sizes, for a look only)" if told["quick"] else ""
    return "\n".join(
        [
            f"Measured {told['date']} in {took_s:.0f} s{kind}: {where}, commit {told['commit']}.",
            "Forms of one work are interleaved in one process, after a round that warms up where there is time for it;",
            "medians, with the lowest and the highest of n. `plain, channels-first` is the original formulation,",
            "its memory as the C library hands it out; `plain, channels-last` and `memory kept` change one thing each.",
            "The fast forms are in channels-last and keep freed memory, as every run does.",
            "Steps of GDAS and of a single path: the same n draws in every form; memory is kept on all sides, and they",
            "are compared with `plain, channels-first, memory kept`.",
            "",
            *table(("work", "size", "form", "s", "lowest", "highest", "n", "times faster"), times(record["rows"])),
            *table(("work", "size", "form", "MB", "of plain", "n"), memory(record["rows"])),
            *table(("work", "size", "form", "%"), shares(record["rows"])),
            *[f"Left out, since time did not suffice: {', '.join(record['left_out'])}.\n"] * bool(record["left_out"]),
            f"![Seconds and memory against sizes]({picture})",
            "",
            *table(GROWTH, grown(record)),
            "Growth at the end is the exponent between the two largest values: 1 is linear, 2 quadratic; of the work:",
            "that of the multiply-adds. Seconds are those of a first-order step in the fastest form, the least of n,",
            "all points in turn; for epochs, those of one whole search up to the end of each.",
            "",
        ]
    )


def table(head: tuple[str, ...], rows: list[list[str]]) -> list[str]:
    if not rows:
        return []
    return ["| " + " | ".join(cells) + " |" for cells in (head, ["---"] * len(head), *rows)] + [""]


def of_unit(rows: list[dict[str, Any]], unit: str) -> list[dict[str, Any]]:
    return [row for row in rows if row["unit"] == unit]


def times(rows: list[dict[str, Any]]) -> list[list[str]]:
    return [
        [
            *(row[name] for name in ("work", "size", "form")),
            *(f"{row[name]:.3g}" for name in ("median", "lowest", "highest")),
            *(str(row["n"]), f"{row['times_faster']:.2f}"),
        ]
        for row in of_unit(rows, "s")
    ]


def memory(rows: list[dict[str, Any]]) -> list[list[str]]:
    return [
        [row["work"], row["size"], row["form"], f"{row['median'] / 1e6:.0f}", f"{row['share']:.2f}", str(row["n"])]
        for row in of_unit(rows, "bytes")
    ]


def shares(rows: list[dict[str, Any]]) -> list[list[str]]:
    found = of_unit(rows, "share")
    return [[row["work"], row["size"], row["form"], f"{100 * row['median']:.2f}"] for row in found]


def grown(record: dict[str, Any]) -> list[list[str]]:
    rows = []
    for line in record["growth"].values():
        ends = [f"{line['values'][0]:g}", f"{line['values'][-1]:g}"]
        expected = "" if line["expected"] is None else f"{line['expected']:.2f}"
        fits = [f"{line['slope']:.3g}", f"{line['r2']:.3f}", f"{line['exponent']:.2f}", expected]
        rows.append([LABELS.get(line["name"], line["name"]), *ends, line["size"], str(line["n"]), *fits])
    return rows


def draw(growth: dict[str, dict[str, Any]], path: Path) -> None:
    """One panel a varied size: seconds with their straight line, and megabytes saved for backward."""
    import matplotlib

    matplotlib.use("svg")
    from matplotlib import pyplot

    pyplot.rcParams["svg.hashsalt"] = "dartboard"
    figure, panels = pyplot.subplots(2, 3, figsize=(12, 6.5), layout="constrained")
    for panel, line in zip(panels.flat, growth.values(), strict=False):
        values, label = line["values"], LABELS.get(line["name"], line["name"])
        panel.plot(values, line["seconds"], "o", color="#0b6e99")
        if line["name"] != "threads":
            panel.plot(values, [line["start"] + line["slope"] * value for value in values], "-", color="#0b6e99", lw=1)
        panel.set(xlabel=f"{label}   ({line['size']})", ylabel="seconds", ylim=(0, None), xlim=(0, None))
        if line["bytes"] and line["name"] != "threads":
            beside = panel.twinx()
            beside.plot(values, [size / 1e6 for size in line["bytes"]], "s:", color="#b5482a", ms=4)
            beside.set(ylabel="MB kept for backward", ylim=(0, None))
    for panel in list(panels.flat)[len(growth) :]:
        panel.set_axis_off()
    figure.savefig(path, metadata={"Date": None})
    pyplot.close(figure)
