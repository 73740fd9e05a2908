"""Images that stay in their files: the same batches as from memory, bit for bit, in flat memory."""

import json
import subprocess
import sys
from itertools import count

import numpy as np
import pytest
import torch
from PIL import Image

from dartboard.cli import main
from dartboard.data import load_data, scans, streaming
from dartboard.data.streaming import FileImages
from dartboard.errors import CannotContinueError, InputError
from dartboard.runs.run import Run


def photographs(root, each=30, classes=("cat", "dog"), size=40):
    """Noisy little JPEGs, `each` of every class."""
    random = np.random.RandomState(0)
    for name in classes:
        (root / name).mkdir(parents=True)
        for number in range(each):
            blocks = Image.fromarray(random.randint(0, 256, (5, 5, 3)).astype(np.uint8))
            blocks.resize((size + number % 7, size)).save(root / name / f"{number:05}.jpg", quality=85)
    return root


def both(root, **options):
    """The same folder, in memory and on disk."""
    return [load_data(f"images:{root}", stream=stream, **options) for stream in ("never", "always")]


def pixels(split):
    return split.images[torch.arange(len(split))]


def same(one, other):
    assert torch.equal(pixels(one), pixels(other)) and torch.equal(one.labels, other.labels)


@pytest.fixture
def pets(tmp_path):
    return photographs(tmp_path / "pets")


@pytest.mark.parametrize("options", [{}, {"max_images": 20}, {"seed": 7}, {"image_size": 9}])
def test_data_on_disk_are_those_in_memory(pets, options):
    (pets / "cat" / "00003.jpg").write_bytes(b"broken")
    memory, disk = both(pets, **options)
    assert isinstance(disk.train.images, FileImages) and isinstance(memory.train.images, torch.Tensor)
    for name in ("train", "val", "test"):
        same(getattr(memory, name), getattr(disk, name))
    same(memory.train_and_val(), disk.train_and_val())
    for name in ("mean", "std", "fingerprint", "class_names", "channels", "image_size"):
        assert getattr(memory, name) == getattr(disk, name), name
    assert "1 of 60 images are broken and left out: cat/00003.jpg" in memory.notes[0]
    assert disk.notes[0] == memory.notes[0] and "stay on disk" in disk.notes[1]


def test_val_and_test_folders_of_their_own_stay_on_disk_too(tmp_path):
    for name, each in (("train", 9), ("val", 4), ("test", 3)):
        photographs(tmp_path / name, each)
    memory, disk = both(tmp_path)
    for name in ("train", "val", "test"):
        same(getattr(memory, name), getattr(disk, name))


def test_auto_leaves_on_disk_what_would_take_more_than_a_quarter_of_the_free_memory(pets):
    taken = 60 * 3 * 32 * 32
    for free, on_disk in ((4 * taken - 4, True), (4 * taken + 4, False)):
        data = load_data(f"images:{pets}", free=free)
        assert isinstance(data.train.images, FileImages) == on_disk
    assert not isinstance(load_data(f"images:{pets}").train.images, FileImages)


def test_batches_come_in_the_announced_order_and_in_any_other(pets):
    memory, disk = both(pets)
    train = disk.train
    order = torch.randperm(len(train), generator=torch.Generator().manual_seed(1)).split(5)
    train.ahead(iter(order))
    for step, index in enumerate(order):
        assert torch.equal(train.images[index], memory.train.images[index])
        if step == 1:  # somebody asks for something else in between
            assert torch.equal(train.images[order[0]], memory.train.images[order[0]])
    train.ahead(order)
    train.ahead(order[2:])  # another order takes the place of the first
    assert torch.equal(train.images[order[2]], memory.train.images[order[2]])
    assert torch.equal(train.images[3:7], memory.train.images[3:7])
    assert torch.equal(train.images[5], memory.train.images[5])


def test_announced_batches_are_decoded_before_they_are_asked_for_and_no_more_than_a_few(pets, monkeypatch):
    train = both(pets)[1].train
    train.ahead(torch.tensor([number % len(train)]) for number in count())  # endless, so it is read step by step
    before = [part for batch in train.images._coming for part in batch.parts]
    for part in before:
        part.result(timeout=60)
    decoded = []
    monkeypatch.setattr(streaming, "read_into", lambda row, file, *_: decoded.append(file) or "")
    train.images[torch.tensor([0])]
    for batch in train.images._coming:
        batch.ready()
    assert len(before) == streaming.AHEAD and len(decoded) == 1  # only the one that comes anew


def test_an_order_does_nothing_to_images_in_memory(pets):
    memory = both(pets)[0].train
    memory.ahead(1 / 0 for _ in range(1))  # not even read


def test_a_folder_is_scanned_once_and_again_only_when_it_has_changed(pets, monkeypatch):
    scanned = []
    original = scans.scan_files
    monkeypatch.setattr(
        scans, "scan_files", lambda files, size, *more: scanned.append(size) or original(files, size, *more)
    )
    first, again, smaller = (load_data(f"images:{pets}", stream="always", image_size=size) for size in (32, 32, 16))
    assert scanned == [32, 16] and first.fingerprint == again.fingerprint != smaller.fingerprint
    Image.new("RGB", (40, 40)).save(pets / "cat" / "00001.jpg")
    changed = load_data(f"images:{pets}", stream="always")
    assert scanned == [32, 16, 32] and changed.fingerprint != first.fingerprint
    for place in (scans.cache_folder() / "scans").iterdir():
        place.write_bytes(b"torn")
    assert load_data(f"images:{pets}", stream="always").fingerprint == changed.fingerprint and len(scanned) == 4


def test_a_cache_that_cannot_be_written_only_means_another_scan(pets, monkeypatch, tmp_path):
    (tmp_path / "file").write_text("in the way")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    same(*(data.train for data in both(pets)))


def test_too_many_broken_images_stop_it_on_disk_too(pets):
    for number in range(4):
        (pets / "dog" / f"{number:05}.jpg").write_bytes(b"x")
    with pytest.raises(InputError, match=r"4 of 60 images in .* are broken, more than 5%"):
        both(pets)[1]


def test_a_file_that_is_gone_in_the_middle_stops_the_work_by_name(pets):
    train = both(pets)[1].train
    gone = train.images.files[2]
    (pets / "cat" / gone.rsplit("/", 1)[1]).unlink()
    with pytest.raises(CannotContinueError, match=r"can no longer be read \(.*restore it"):
        train.images[torch.tensor([1, 2])]
    assert train.images[torch.tensor([1, 3])].shape == (2, 3, 32, 32)


def test_data_without_files_say_that_they_make_no_use_of_it():
    assert "digits does not use stream" in load_data("digits", stream="always").notes


SEARCH = ("--channels", "2", "--cells", "3", "--batch-size", "8", "--image-size", "8", "--epochs", "1")


@pytest.mark.usefixtures("global_rng")
@pytest.mark.slow
def test_search_training_resume_and_scores_from_disk_are_those_from_memory(pets, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    data = ("--data", f"images:{pets}", *SEARCH)
    for stream, budget in (("never", ()), ("always", ("--budget", "2steps"))):
        words = [*data, "--stream", stream, *budget]
        assert main(["search", "darts", *words, "--out", f"search-{stream}"]) == 0
        assert main(["train", "DARTS_V1", *words, "--no-auxiliary", "--out", f"train-{stream}"]) == 0
    for kind in ("search", "train"):
        assert main(["resume", f"{kind}-always"]) == 0
        runs = [Run.open(f"{kind}-{stream}") for stream in ("never", "always")]
        assert runs[0].done and runs[0].architecture == runs[1].architecture
        told = [[without_times(line) for line in run.metrics()] for run in runs]
        assert told[0] == told[1]
    capsys.readouterr()
    scores = []
    for stream in ("never", "always"):
        assert main(["evaluate", f"train-{stream}", "--json"]) == 0
        scores.append(capsys.readouterr().out)
    one, other = ({**json.loads(score), "images_per_s": 0.0} for score in scores)
    assert one == other and one["images"] == 12


def without_times(line):
    return {name: value for name, value in line.items() if not name.endswith("_s") and name != "time"}


FLAT = """
import sys, torch
from dartboard.data import epoch_batches, load_data
from dartboard.devices import forget_peak, peak_bytes
data = load_data(sys.argv[1], image_size=int(sys.argv[2]), stream=sys.argv[3])
images, generator = 0, torch.Generator().manual_seed(0)
for split in (data.train, data.val, data.test):
    order = epoch_batches(len(split), 8, generator)
    split.ahead(order)
    for index in order:
        images += len(split.images[index])
        if images == 64:
            forget_peak()
            before = peak_bytes()
print(images, peak_bytes() - before)
"""


def growth(root, size, stream):
    """(images read, bytes by which the process grew after the first 64)."""
    command = [sys.executable, "-c", FLAT, f"images:{root}", str(size), stream]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    images, grown = done.stdout.split()
    return int(images), int(grown)


@pytest.mark.slow
@pytest.mark.parametrize(("each", "pixels", "size"), [(300, 32, 192), (5000, 48, 64)])
def test_memory_stays_flat_however_many_images_are_read(tmp_path, each, pixels, size):
    photographs(tmp_path / "many", each, size=pixels)
    growth(tmp_path / "many", size, "always")  # scans, so that the next one only reads
    images, grown = growth(tmp_path / "many", size, "always")
    assert images == 2 * each
    assert grown < 0.5 * images * 3 * size * size
