"""Tests of nbs/solutions/04_torch_training.ipynb, generated from its test cells. Edit the notebook, then run `make export`."""

import numpy as np
import pandas as pd
import torch

from brain_mri.exercises import verdict


def test_exercise_1_solution():
    def my_corrected_average(values, decay):
        average, result = 0, []
        for n, value in enumerate(values, 1):
            average = decay * average + (1 - decay) * value
            result.append(average / (1 - decay**n))
        return result


    corrected = lambda values, decay: pd.Series(values).ewm(alpha=1 - decay).mean().to_numpy()
    assert verdict(my_corrected_average, corrected, [([1.0, 1.0, 1.0], 0.9), ([4.0, 0.0, 2.0, 2.0], 0.5)]).solved


def test_exercise_2_solution():
    def my_clipped(gradient, limit):
        gradient = np.array(gradient)
        length = np.linalg.norm(gradient)
        return gradient * min(1, limit / length) if length else gradient


    clipped = lambda gradient, limit: torch.renorm(torch.tensor([gradient]), 2, 0, limit)[0].numpy()
    assert verdict(my_clipped, clipped, [([3.0, 4.0], 1.0), ([0.3, 0.4], 1.0), ([0.0, 0.0, 7.0], 5.0)]).solved
