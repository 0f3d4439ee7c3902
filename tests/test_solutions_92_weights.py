"""Tests of nbs/solutions/92_weights.ipynb, generated from its test cells. Edit the notebook, then run `make export`."""

from brain_mri.exercises import verdict
from brain_mri.weights import digits_needed, range_header


def test_exercise_1_solution():
    def my_range_header(have, size):
        if have == size:
            return ""
        return f"bytes={have}-"


    assert verdict(my_range_header, range_header, [(0, 100), (40, 100), (100, 100), (40, None)]).solved


def test_exercise_2_solution():
    def my_digits_needed(chance):
        digits = 0
        while 16.0**-digits > chance:
            digits += 1
        return digits


    assert verdict(my_digits_needed, digits_needed, [(1 / 16,), (0.5,), (0.001,), (1e-9,), (16.0**-5,)]).solved
