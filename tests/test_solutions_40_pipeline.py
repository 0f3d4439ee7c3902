"""Tests of nbs/solutions/40_pipeline.ipynb, generated from its test cells. Edit the notebook, then run `make export`."""

from brain_mri.data import CLASSES
from brain_mri.exercises import verdict
from brain_mri.pipeline import cautious_label, chain_accuracy


def test_exercise_1_solution():
    def my_chain(p, q, r):
        """Probability that all three stages are right."""
        return p * q * r


    assert verdict(my_chain, chain_accuracy, [(1.0, 1.0, 0.9), (0.8, 0.9, 0.95), (0.0, 1.0, 1.0)]).solved


def test_exercise_2_solution():
    def my_cautious_label(probabilities, limit):
        """Name with the highest probability, or "unsure" below the limit."""
        highest = max(probabilities)
        return CLASSES[list(probabilities).index(highest)] if highest >= limit else "unsure"


    assert verdict(
        my_cautious_label, cautious_label, [([0.1, 0.2, 0.3, 0.4], 0.3), ([0.4, 0.4, 0.1, 0.1], 0.4), ([0.25, 0.25, 0.25, 0.25], 0.5)]
    ).solved
