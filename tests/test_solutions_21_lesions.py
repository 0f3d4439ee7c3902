"""Tests of nbs/solutions/21_lesions.ipynb, generated from its test cells. Edit the notebook, then run `make export`."""

import numpy as np

from brain_mri.exercises import verdict
from brain_mri.lesions import best_box, largest


def test_exercise_1_solution():
    def my_best_box(boxes, scores, threshold):
        best, best_score, passing = [0, 0, 0, 0], 0.0, 0
        for box, score in zip(boxes, scores):
            if score >= threshold:
                passing += 1
                if score > best_score:
                    best, best_score = box, score
        return best, best_score, passing


    assert verdict(
        my_best_box,
        best_box,
        [
            ([[5, 5, 20, 20], [30, 30, 40, 42]], [0.25, 0.75], 0.5),
            ([[1, 1, 2, 2]], [0.25], 0.5),
            ([[1, 1, 2, 2], [3, 3, 9, 9]], [0.75, 0.5], 0.5),
            ([[1, 1, 2, 2], [3, 3, 9, 9], [4, 4, 8, 8]], [0.5, 0.75, 0.25], 0.5),
        ],
    ).solved


def test_exercise_2_solution():
    def my_largest(masks, k):
        top = []
        for row, mask in enumerate(masks):
            top = sorted([*top, (-int(mask.sum()), row)])[:k]
        return np.array([row for _, row in top])


    masks = np.random.default_rng(0).random((40, 6, 6)) < 0.5
    assert verdict(my_largest, largest, [(masks, 5), (np.tri(6, dtype=bool)[:, None], 2), (np.ones((3, 4, 4), bool), 2)]).solved
