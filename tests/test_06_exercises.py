"""Tests of nbs/06_exercises.ipynb, generated from its test cells. Edit the notebook, then run `make export`."""

import numpy as np
import pytest

from brain_mri.exercises import describe, same, verdict


def test_same_tolerates_rounding_but_not_errors():
    assert same(0.1 + 0.2, 0.3)
    assert not same(0.31, 0.3)


def test_same_looks_at_shape():
    assert same(np.ones((2, 2)), np.ones((2, 2)))
    assert not same(np.ones(4), np.ones((2, 2)))
    assert not same(1.0, np.ones(4))


def test_same_goes_into_tuples_and_dicts():
    assert same((np.arange(3), 0.3), (np.arange(3), 0.1 + 0.2))
    assert not same((1, 2), (1, 2, 3))
    assert same({"dice": 0.5}, {"dice": 0.5})
    assert not same({"dice": 0.5}, {"iou": 0.5})
    assert not same(0.5, {"dice": 0.5})


def test_same_compares_what_is_not_a_number():
    assert same("glioma", "glioma")
    assert not same("glioma", "pituitary")
    assert not same("1", 1)
    assert same(float("nan"), float("nan"))
    assert not same([[1, 2], [3]], np.arange(3))


def test_describe_is_short():
    assert describe(np.zeros((64, 64), np.uint8)) == "uint8 array of shape (64, 64), 0 to 0"
    assert describe(np.array([1.5, 2.0])) == "[1.5, 2.0]"
    assert describe(np.float64(1) / 3) == "0.333333"
    assert len(describe("x" * 1000)) == 100


def test_verdict_of_a_stub_is_not_solved_yet():
    def stub(a, b): ...


    outcome = verdict(stub, np.hypot, [(3, 4)])
    assert not outcome.solved
    assert "Not solved yet" in outcome.message and "stub" in outcome.message


def test_verdict_of_a_right_answer_is_solved():
    assert verdict(lambda a, b: (a * a + b * b) ** 0.5, np.hypot, [(3, 4), (5, 12)]).solved


def test_verdict_names_the_case_that_failed():
    def double(x):
        return 4 if x == 2 else 0


    outcome = verdict(double, lambda x: 2 * x, [(2,), (3,)])
    assert not outcome.solved
    assert "double(3) gave 0, expected 6" in outcome.message


def test_verdict_survives_an_error():
    def broken(x):
        return 1 / 0


    outcome = verdict(broken, abs, [(1,)])
    assert not outcome.solved and "ZeroDivisionError" in outcome.message


def test_verdict_counts_not_implemented_and_a_returned_ellipsis_as_unsolved():
    def later(x):
        raise NotImplementedError


    assert "Not solved yet" in verdict(later, abs, [(1,)]).message
    assert "Not solved yet" in verdict(lambda x: ..., abs, [(1,)]).message


def test_verdict_copies_the_arguments():
    def spoil(values):
        values.clear()
        return 0


    case = [1, 2, 3]
    assert not verdict(spoil, sum, [(case,)]).solved
    assert case == [1, 2, 3]


def test_verdict_wants_cases():
    with pytest.raises(ValueError, match="at least one case"):
        verdict(abs, abs, [])


def test_verdict_html_escapes_what_the_reader_wrote():
    outcome = verdict(lambda x: "<b>", str, [(1,)])
    assert "<b>'" not in outcome._repr_html_() and "&lt;b&gt;" in outcome._repr_html_()
