"""Tests of nbs/solutions/60_data_trust.ipynb, generated from its test cells. Edit the notebook, then run `make export`."""

import numpy as np

from brain_mri.data_trust import label_of_nearest, score_of_the_rest
from brain_mri.exercises import verdict


def test_exercise_1_solution():
    def my_label_of_nearest(detail, details, labels):
        alike = lambda a, b: np.corrcoef(a.ravel(), b.ravel())[0, 1]
        best = [max(alike(detail, known), alike(detail[:, ::-1], known)) for known in details]
        return labels[int(np.argmax(best))]


    details_ = np.random.default_rng(0).normal(size=(6, 8, 8))
    names_ = ["a", "b", "c", "d", "e", "f"]
    assert verdict(
        my_label_of_nearest, label_of_nearest, [(2 * details_[2] + 5, details_, names_), (details_[4][:, ::-1], details_, names_)]
    ).solved


def test_exercise_2_solution():
    def my_score_of_the_rest(score, share, with_twin):
        return (score - share * with_twin) / (1 - share) if share < 1 else np.nan


    assert verdict(my_score_of_the_rest, score_of_the_rest, [(0.97, 0.75, 1.0), (0.9, 0.5, 0.95), (0.8, 0.0, 1.0), (1.0, 1.0, 1.0)]).solved
