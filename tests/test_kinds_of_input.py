"""What people hand to the Python functions: taken as it is meant, or refused in one line with a remedy."""

from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import example, given
from hypothesis import strategies as st
from torch.utils.data import DataLoader, Dataset

import tiny
from dartboard import networks, train
from dartboard.config import Setup
from dartboard.data import Data, load_data
from dartboard.errors import InputError
from dartboard.export.weights import load_foreign, load_network, load_trained, write_torch
from dartboard.formats import published
from dartboard.networks.darts import Network, Supernet
from dartboard.runs.run import Run
from dartboard.scoring.evaluate import accuracy

GREY = np.random.RandomState(0).randint(0, 256, (30, 8, 8)).astype(np.uint8)
LABELS = np.arange(30) % 3
NAMES = np.array(["cat", "dog", "cow"])[LABELS]
SHAPES = r"give \(N, H, W\), \(N, C, H, W\) or \(N, H, W, C\)"


class Frame:
    """Answers like a table of pandas: an array when it is asked for one."""

    def __init__(self, content: object) -> None:
        self.content = np.asarray(content)

    def __array__(self, dtype: object = None, copy: object = None) -> np.ndarray:
        return self.content


class Broken:
    def __array__(self, dtype: object = None, copy: object = None) -> np.ndarray:
        raise KeyError("a column")


class Items(Dataset):
    """Thirty images, each with the label that a function makes of its number; or whatever `item` makes of it."""

    def __init__(self, label=None, item=None):
        self.label, self.item = label, item

    def __len__(self):
        return 30

    def __getitem__(self, index):
        image = torch.from_numpy(GREY[index])
        return self.item(image, index) if self.item else (image, self.label(index))


def one_line(message: str, call, *given_, **named) -> str:
    with pytest.raises(InputError, match=message) as caught:
        call(*given_, **named)
    said = str(caught.value)
    assert "\n" not in said and len(said) < 400
    return said


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        (NAMES, r"they are text, such as 'c(at|ow)'; number the classes 0 to K-1, as np.unique"),
        (NAMES.tolist(), "they are text, such as 'cat'"),
        (NAMES.astype(object), "they are text, such as 'cat'"),
        (NAMES.astype(bytes), "they are text, such as b'cat'"),
        (Frame(NAMES.astype(object)), "they are text, such as 'cat'"),
        ([None] * 30, "not an array of numbers.*number the classes 0 to K-1"),
        ([{"label": 0}] * 30, "not an array of numbers.*number the classes 0 to K-1"),
        ([[0], [1, 2]] * 15, "not an array of numbers.*number the classes 0 to K-1"),
        (np.eye(3)[LABELS], r"\(one-hot\), give labels.argmax\(1\)"),
        (np.eye(3, dtype=int)[LABELS], r"\(one-hot\), give labels.argmax\(1\)"),
        (torch.eye(3)[torch.from_numpy(LABELS)], r"\(one-hot\), give labels.argmax\(1\)"),
        (Frame(LABELS[:, None]), r"give whole numbers of shape \(30,\)"),
        (LABELS.astype(float), r"give whole numbers of shape \(30,\), 0 to K-1"),
        (np.full(30, np.nan), r"give whole numbers of shape \(30,\), 0 to K-1"),
        (LABELS > 0, r"not torch.bool.*give whole numbers"),
        (1, r"give whole numbers of shape \(N,\)"),
        (LABELS * 10**12, "no image has the label 1; number the classes 0 to K-1 without gaps"),
        (np.where(LABELS == 2, 2**63 - 1, LABELS), "no image has the label 2;"),
        (
            np.where(LABELS == 2, np.uint64(2**64 - 1), LABELS.astype(np.uint64)),
            "the label 18446744073709551615 is too",
        ),
        ([10**30] * 30, "not an array of numbers.*number the classes 0 to K-1"),
        (LABELS - 10**12, "the label -1000000000000 is negative"),
        (Broken(), "not an array of numbers.*a column"),
        (torch.eye(30).to_sparse(), "not an array of numbers: a sparse"),
        (torch.zeros(30, device="meta"), "not an array of numbers: a sparse, nested, quantized or empty"),
    ],
    ids=range(24),
)
def test_labels_of_a_wrong_kind_are_refused_with_what_to_give(labels: object, message: str) -> None:
    one_line(message, load_data, GREY, labels)
    one_line(
        message if "no image has" not in message else "none of the 3", load_data, GREY, LABELS, test=(GREY, labels)
    )


@pytest.mark.parametrize("kind", [np.uint8, np.int16, np.uint16, np.uint32, np.uint64, ">i8"])
def test_whole_numbers_of_any_width_are_labels(kind: object) -> None:
    assert load_data(GREY, LABELS.astype(kind)).fingerprint == load_data(GREY, LABELS).fingerprint
    assert load_data(GREY, Frame(LABELS)).fingerprint == load_data(GREY, LABELS).fingerprint


PAIRS = [(image, int(label)) for image, label in zip(GREY, LABELS, strict=True)]


@pytest.mark.parametrize(
    ("source", "message"),
    [
        (PAIRS, r"these are pairs of both; give load_data\(\[image for image, _ in pairs\], \[label for"),
        (tuple(PAIRS), "these are pairs of both"),
        ((GREY, LABELS), r"images without labels; give load_data\(images, labels\)"),
        ({"images": GREY, "labels": LABELS}, "images without labels"),
        (Frame(GREY.reshape(30, 64)), "images without labels"),
        (DataLoader(Items(lambda index: index % 3)), "or a torch Dataset"),
        (Path("pets"), r"give load_data\('images:pets'\)"),
        (None, "images without labels"),
        (7, "images without labels"),
        ([], "images without labels"),
    ],
    ids=lambda value: type(value).__name__,
)
def test_a_source_without_labels_is_refused_with_what_to_call(source: object, message: str) -> None:
    one_line(message, load_data, source)


def test_the_remedy_for_pairs_is_one() -> None:
    data = load_data([image for image, _ in PAIRS], [label for _, label in PAIRS])
    assert data.fingerprint == load_data(GREY, LABELS).fingerprint


@pytest.mark.parametrize(
    "images",
    [
        [[[1, 2], [3]]] * 30,
        [None] * 30,
        GREY.astype(object) + 0.5j,
        {"a": GREY},
        np.full((30, 8, 8), "x"),
        Broken(),
        [torch.rand(8, 8, requires_grad=True)] * 30,
        torch.rand(30, 8, 8).to_sparse(),
    ],
    ids=lambda value: type(value).__name__,
)
def test_images_of_a_wrong_kind_are_refused_with_the_shapes_to_give(images: object) -> None:
    one_line(f"the images are not an array of numbers: .*{SHAPES}", load_data, images, LABELS)


@pytest.mark.parametrize(
    ("label", "told"),
    [
        (lambda index: "cat", "'cat'"),
        (lambda index: "3", "'3'"),
        (lambda index: None, "None"),
        (lambda index: {"label": 1}, "{'label': 1}"),
        (lambda index: 1.7, "1.7"),
        (lambda index: float("nan"), "nan"),
        (lambda index: float("inf"), "inf"),
        (lambda index: 10**30, "10000"),
        (lambda index: np.eye(3)[index % 3], r"array\(\[1.*its argmax"),
        (lambda index: torch.eye(3)[index % 3], r"tensor\(\[1.*its argmax"),
        (lambda index: [index % 3, 0], r"\[0, 0\]"),
    ],
    ids=range(11),
)
def test_a_dataset_with_labels_of_a_wrong_kind_is_refused(label, told: str) -> None:
    start = "the label of item 0 of the Dataset is .*"
    one_line(start + told, load_data, Items(label))
    one_line(start + told, load_data, Items(lambda index: index % 3), test=Items(label))


def test_a_dataset_that_gives_something_else_than_pairs_is_refused() -> None:
    for item, kind in (
        (lambda image, index: {"image": image, "label": 0}, "dict"),
        (lambda image, index: (image, 0, index), "tuple"),
        (lambda image, index: "ab", "str"),
        (lambda image, index: image, "Tensor"),
    ):
        one_line(f"item 0 .* not a pair of image and label, but '{kind}'; return", load_data, Items(item=item))
    one_line("the images of the Dataset are not an array", load_data, Items(item=lambda image, index: ("1.png", 0)))
    one_line("no image has the label 1;", load_data, Items(lambda index: 10**12 * (index % 2)))
    one_line("the label -1 is negative", load_data, Items(lambda index: -1))


def test_labels_of_a_dataset_may_be_any_whole_number() -> None:
    same = load_data(Items(lambda index: index % 3)).fingerprint
    for kind in (np.int64, np.uint8, float, torch.tensor, lambda number: torch.tensor([number])):
        assert load_data(Items(lambda index, kind=kind: kind(index % 3))).fingerprint == same


@pytest.mark.parametrize("test", [5, "digits", {"images": GREY}, (GREY,), [GREY, LABELS, 3], object()])
def test_test_images_of_a_wrong_kind_are_refused(test: object) -> None:
    for source in ((GREY, LABELS), (Items(lambda index: index % 3),)):
        one_line(r"test must be a pair: \(images, labels\); or a torch Dataset", load_data, *source, test=test)


def test_a_dataset_may_bring_the_test_images_of_arrays() -> None:
    data = load_data(GREY, LABELS, test=Items(lambda index: index % 3))
    assert len(data.test) == 30
    one_line("a Dataset has its own labels", load_data, Items(lambda index: index % 3), LABELS)


# --- Networks --------------------------------------------------------------------------------------------------------

V2 = published()["DARTS_V2"].architecture


@pytest.mark.usefixtures("global_rng")
@pytest.mark.parametrize(
    "make",
    [lambda: torch.nn.Linear(2, 2), lambda: Supernet(channels=2, cells=3), lambda: None, lambda: 5, lambda: b"DARTS_V2",
     lambda: small().state_dict(), lambda: torch.nn.DataParallel(small())],
    ids=["Linear", "Supernet", "NoneType", "int", "bytes", "OrderedDict", "DataParallel"],
)  # fmt: skip
def test_what_is_no_network_is_not_written(tmp_path: Path, make, request: pytest.FixtureRequest) -> None:
    kind = request.node.callspec.id
    one_line(f"write_torch takes a Network .* or an architecture, not {kind}$", write_torch, make(), tmp_path / "out")
    assert not (tmp_path / "out").exists()


def small() -> Network:
    return Network(V2, channels=2, cells=3, num_classes=3, image_size=8, auxiliary=False)


@pytest.mark.usefixtures("global_rng")
def test_what_is_said_of_a_network_may_be_any_sequence(tmp_path: Path) -> None:
    mean, std = np.array([0.1, 0.2, 0.3]), torch.ones(3, dtype=torch.float64)
    folder = write_torch(small(), tmp_path / "out", mean=mean, std=std, class_names=["a", "b", "c"])
    description = load_trained(folder)[1]
    assert (description.mean, description.std) == ((0.1, 0.2, 0.3), (1.0, 1.0, 1.0))
    assert description.class_names == ("a", "b", "c")
    for told, message in (
        ({"mean": 0.5}, "mean is 'float'; give one number for each channel"),
        ({"mean": "abc"}, "mean is 'str'"),
        ({"std": [None]}, "std is 'list'"),
        ({"std": torch.ones(3, 2)}, "std is 'Tensor'"),
        ({"class_names": "abc"}, "class_names is 'abc'; give one text for each class"),
        ({"class_names": 3}, "class_names is 3"),
        ({"class_names": ["a"]}, "1 class names for 3 classes"),
        ({"image_size": "8"}, "image-size is '8'"),
    ):
        one_line(message, write_torch, small(), tmp_path / "other", **told)
    assert not (tmp_path / "other").exists()


@pytest.mark.usefixtures("global_rng")
def test_loading_takes_paths_and_architectures(tmp_path: Path) -> None:
    one_line("the path of a folder, not Network", load_network, small())
    one_line("the path of a folder, not NoneType", load_network, None)
    one_line("no run in", load_network, tmp_path / "none")
    one_line(r"such as formats\.resolve\(NAME\)\[0\], not str", load_foreign, tmp_path / "weights.pt", "DARTS_V2")
    one_line("the path of a weight file, not dict", load_foreign, {}, V2)


@pytest.mark.usefixtures("global_rng")
def test_fit_and_accuracy_say_what_they_take(tmp_path: Path) -> None:
    data, config = load_data(GREY, LABELS), train.Config(**tiny.TRAIN)
    network = networks.darts.Network(V2, channels=2, cells=3, num_classes=3, in_channels=1, auxiliary=False)
    with Run.create(tmp_path / "run", config, setup=Setup(device="cpu")) as run:
        one_line("fit takes a train.Config first, not dict", train.fit, tiny.TRAIN, network, data, run)
        one_line("an nn.Module, second, not Architecture", train.fit, config, V2, data, run)
        one_line("what load_data returns third, not tuple", train.fit, config, network, (GREY, LABELS), run)
        one_line("Run.create returns fourth, not str", train.fit, config, network, data, "run")
        assert not (tmp_path / "run/metrics.jsonl").exists()
    one_line("accuracy takes one split, such as data.test, second, not Data", accuracy, network, data, data)
    one_line("an nn.Module, first, not str", accuracy, "run", data.test, data)
    one_line("what load_data returns third, not Split", accuracy, network, data.test, data.test)


# --- Anything at all -------------------------------------------------------------------------------------------------

ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=3) | st.binary(max_size=3),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=2), inner, max_size=2),
    max_leaves=6,
)


@given(st.lists(ANYTHING, min_size=30, max_size=30) | ANYTHING)
@example(list(LABELS))
@example([2**64] * 30)
def test_whatever_is_given_as_labels_is_data_or_one_line(labels: object) -> None:
    for call in (lambda: load_data(GREY, labels), lambda: load_data(Items(lambda index: labels))):
        try:
            assert isinstance(call(), Data)
        except InputError as error:
            assert "\n" not in str(error) and len(str(error)) < 400
