"""Tests of nbs/solutions/62_ablation.ipynb, generated from its test cells. Edit the notebook, then run `make export`."""

import numpy as np

from brain_mri.ablation import presence_baseline, three_classes
from brain_mri.exercises import verdict


def test_exercise_1_solution():
    def my_three_classes(probabilities):
        """Probabilities given that there is a tumour."""
        tumours = np.array([1.0, 1.0, 0.0, 1.0])
        kept = np.asarray(probabilities) * tumours
        total = kept.sum(axis=1, keepdims=True)
        return np.where(total > 0, kept / np.where(total > 0, total, 1), tumours / 3)


    assert verdict(
        my_three_classes,
        three_classes,
        [(np.array([[0.2, 0.1, 0.6, 0.1], [0.1, 0.7, 0.1, 0.1]]),), (np.array([[0.0, 0.0, 1.0, 0.0], [1.0, 0.0, 0.0, 0.0]]),)],
    ).solved


def test_exercise_2_solution():
    def my_presence(found_train, labels_train, found):
        """The most frequent training class for each state of `found`."""
        answers = []
        for state in found:
            inside = [label for label, box in zip(labels_train, found_train) if bool(box) == bool(state)] or list(labels_train)
            answers.append(max(sorted(set(inside)), key=inside.count))
        return np.array(answers)


    assert verdict(
        my_presence,
        presence_baseline,
        [([1, 1, 1, 0, 0], [3, 3, 0, 2, 2], [1, 0, 1]), ([1, 1, 0, 0], [1, 0, 2, 3], [0, 1]), ([True, True], [1, 1], [False])],
    ).solved
