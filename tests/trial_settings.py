"""What the cases of methods that score architectures one by one have in common (dartboard.testing.by_trials), and the
tests of ours that show what their settings do whose value needs files."""

from dartboard.testing.by_trials import BASE, CHANGES, CHANGES_DATA, GOLDEN, WAYS, chance, matches, planted

__all__ = ["BASE", "CHANGES", "CHANGES_DATA", "ELSEWHERE", "GOLDEN", "WAYS", "chance", "matches", "planted"]
ELSEWHERE: dict[str, str] = {
    "truth": "test_random_search.py::test_the_best_by_the_column_seen_is_found_and_shown_by_the_other",
    "shared_weights": "test_random_search.py::test_the_weights_of_another_search_are_copied_when_the_run_begins",
}
