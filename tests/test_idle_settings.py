"""Settings of a method that would change nothing beside the others are refused, and are not where they change."""

from pathlib import Path

import pytest

from dartboard.cli import main

IDLE = {
    "ppo --lstm-units 5": "--lstm-units has no effect if --controller is independent; leave it out",
    "ppo --clip 0.1 --inner-epochs 1": "--clip has no effect if --inner-epochs is 1; leave it out",
    "reinforce --lstm-layers=2": "--lstm-layers has no effect if --controller is independent; leave it out",
    "nas_rl --space nasbench201 --depth-every 3": "--depth-every has no effect if nothing grows in nasbench201",
    "enas --space enas_micro --skip-target 0.3": "--skip-target has no effect if the space is enas_micro; leave it out",
    "enas --space enas_macro --operation-tanh 2": "--operation-tanh has no effect if the space is enas_macro",
    "spos --bins 3": "--bins has no effect if there is no --band; leave it out",
}
AT_WORK = (
    "ppo --lstm-units 5 --controller lstm",
    "ppo --lstm-units 5 --preset paper",
    "ppo --clip 0.1",
    "reinforce --lstm-layers 2 --controller lstm",
    "nas_rl --space nas_rl-12 --depth-every 3",
    "enas --space enas_macro-24 --skip-target 0.3 --skip-weight 1",
    "enas --space enas_micro --operation-tanh 2",
    "spos --bins 3 --band 1M-2M",
)


@pytest.mark.parametrize("words", IDLE)
def test_a_setting_that_changes_nothing_is_refused(words: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["search", *words.split(), "--data", "digits", "--print-config"]) == 2
    error = capsys.readouterr().err
    assert IDLE[words] in error and error.count("\n") == 1


@pytest.mark.parametrize("words", AT_WORK)
def test_the_same_setting_is_taken_where_it_changes_something(
    words: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["search", *words.split(), "--data", "digits", "--print-config"]) == 0, capsys.readouterr().err
    assert not list(tmp_path.iterdir())
