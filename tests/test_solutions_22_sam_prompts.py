"""Tests of nbs/solutions/22_sam_prompts.ipynb, generated from its test cells. Edit the notebook, then run `make export`."""

import numpy as np

from brain_mri.exercises import verdict
from brain_mri.sam_prompts import rejection_gain, step_for_iou


def test_exercise_1_solution():
    def my_shift(iou):
        return (1 - iou) / (1 + iou)


    shift_until = lambda iou: step_for_iou([10, 10, 30, 50], [1, 0, 1, 0], iou, (60, 90))
    assert verdict(my_shift, shift_until, [(0.9,), (0.5,), (0.25,), (1.0,)]).solved


def test_exercise_2_solution():
    def my_gain(confidence, score, share):
        kept = np.argsort(confidence)[round(share * len(score)) :]
        return score[kept].mean() - score.mean()


    some_scores = np.random.default_rng(0).permutation(np.linspace(0.2, 1, 40))
    some_guesses = some_scores + np.random.default_rng(1).normal(0, 0.2, 40)
    assert verdict(
        my_gain, rejection_gain, [(some_guesses, some_scores, 0.1), (some_scores, some_scores, 0.25), (-some_scores, some_scores, 0.5)]
    ).solved
