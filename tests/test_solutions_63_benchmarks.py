"""Tests of nbs/solutions/63_benchmarks.ipynb, generated from its test cells. Edit the notebook, then run `make export`."""

from statistics import median

from brain_mri.benchmarks import greatest_gain, ratio_with_range
from brain_mri.exercises import verdict


def test_exercise_1_solution():
    def my_ratio(slow, fast):
        """Median, lowest and highest of slow / fast over the pairs."""
        ratios = [a / b for a, b in zip(slow, fast)]
        return median(ratios), min(ratios), max(ratios)


    assert verdict(
        my_ratio, ratio_with_range, [([2.0, 4.0, 9.0], [1.0, 1.0, 3.0]), ([3.0, 3.1, 6.0, 6.2], [1.0, 1.0, 2.0, 2.0]), ([1.0], [4.0])]
    ).solved


def test_exercise_2_solution():
    def my_greatest_gain(times, i):
        """Time of the whole divided by what is left without stage `i`."""
        rest = sum(times) - times[i]
        return sum(times) / rest if rest else float("inf")


    assert verdict(my_greatest_gain, greatest_gain, [([1.0, 2.0, 3.0], 2), ([0.0, 5.0], 0), ([10.0, 30.0, 60.0], 1)]).solved
