"""Tests of nbs/solutions/61_paper_audit.ipynb, generated from its test cells. Edit the notebook, then run `make export`."""

from brain_mri.exercises import verdict
from brain_mri.paper_audit import f1_interval, fitting_counts


def test_exercise_1_solution():
    def my_f1_interval(precision, recall, half):
        f1 = lambda p, r: 2 * p * r / (p + r)
        return f1(precision - half, recall - half), f1(precision + half, recall + half)


    assert verdict(my_f1_interval, f1_interval, [(97.32, 93.47, 0.005), (50.0, 50.0, 1.0), (89.12, 78.69, 0.5)]).solved


def test_exercise_2_solution():
    def my_fitting_counts(precision, recall, positives, negatives):
        alike = lambda part, whole, printed: f"{100 * part / whole:.2f}" == f"{printed:.2f}"
        hits = [tp for tp in range(1, positives + 1) if alike(tp, positives, recall)]
        return [(tp, fp) for tp in hits for fp in range(negatives + 1) if alike(tp, tp + fp, precision)]


    assert verdict(
        my_fitting_counts, fitting_counts, [(80.0, 66.67, 6, 3), (50.0, 33.33, 3, 1), (98.97, 96.5, 906, 405), (66.67, 100.0, 4, 5)]
    ).solved
