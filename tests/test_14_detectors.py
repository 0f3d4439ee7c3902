"""Tests of nbs/14_detectors.ipynb, generated from its test cells. Edit the notebook, then run `make export`."""

import tempfile
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from brain_mri.data import DataError
from brain_mri.detector_comparison import (
    detection_outcomes, detector_results, f1_difference, groups_by_size, independent_misses, miss_agreement,
    peek_gain, recall_by_group, telling_scans,
)
from brain_mri.metrics import bootstrap_interval, detections_to_frame, f1_score
from brain_mri.reports import Run


def test_results_come_in_the_order_of_the_scans():
    with tempfile.TemporaryDirectory() as folder:
        made_ = Run("12_retinanet")
        made_.out = made_.reports = Path(folder)
        with pytest.raises(FileNotFoundError, match="expected results of a detector"):
            detector_results(made_, ["a"])
        spot_ = np.float32([[0, 0, 9, 9]])
        images_ = [dict(path=p, width=20, height=20, boxes=spot_, scores=[s], true_boxes=spot_) for p, s in (("a", 0.5), ("b", 0.75))]
        made_.save_predictions(detections_to_frame(images_))
        origin_ = dict(model="R", dataset="d", weights="none", seed=0, n_train=1, n_test=2, ci95={})
        made_.save_metrics("detector", metrics={"threshold": 0.6}, **origin_)
        results_, thresholds_ = detector_results(made_, ["b", "a"])
        assert [d["path"] for d in results_["RetinaNet"]] == ["b", "a"] and thresholds_ == {"RetinaNet": 0.6}
        with pytest.raises(DataError, match="expected predictions of the 3 test scans, got 2 scans, 1 of them in common, from 12_retinanet"):
            detector_results(made_, ["a", "c", "d"])


def test_a_peek_never_costs():
    spot_, wrong_ = [[0, 0, 9, 9]], [[20, 20, 29, 29]]
    images_ = [
        dict(path="a", boxes=spot_, scores=[0.9], true_boxes=spot_),
        dict(path="b", boxes=spot_, scores=[0.6], true_boxes=spot_),
        dict(path="c", boxes=wrong_, scores=[0.3], true_boxes=[]),
    ]
    high_ = peek_gain(images_, 0.7)  # finds one of two lesions: F1 is 2/3
    assert np.isclose(high_["f1"], 2 / 3) and high_["peak_f1"] == 1 and np.isclose(high_["peak_threshold"], 0.6)
    assert np.isclose(high_["gain"], 1 / 3) and peek_gain(images_, 0.6)["gain"] == 0


def test_a_peek_at_nothing_gains_nothing():
    silent_ = dict(path="a", boxes=np.zeros((0, 4)), scores=[], true_boxes=[[0, 0, 9, 9]])
    wrong_ = dict(path="b", boxes=[[20, 20, 29, 29]], scores=[0.9], true_boxes=[[0, 0, 9, 9]])
    for images_ in ([silent_], [wrong_], []):
        assert peek_gain(images_, 0.5) == dict(f1=0.0, peak_threshold=0.5, peak_f1=0.0, gain=0.0)


def test_size_groups_by_hand():
    groups_ = groups_by_size([0.05, 0.01, 0.02, 0.06, 0.04, 0.03], 3)
    assert list(groups_.categories) == ["1 to 2 %", "3 to 4 %", "5 to 6 %"] and groups_.codes.tolist() == [2, 0, 0, 2, 1, 1]


def test_size_groups_of_equal_few_or_no_lesions():
    assert groups_by_size([0.02] * 5, 3).tolist() == ["2 to 2 %"] * 5
    assert groups_by_size([0.1, 0.02], 4).tolist() == ["10 to 10 %", "2 to 2 %"]
    assert groups_by_size([0.020001, 0.020002, 0.5], 3).codes.tolist() == [0, 0, 1]  # no two groups with one label
    assert len(groups_by_size([], 3)) == 0


def test_recall_by_group_by_hand():
    table_ = pd.DataFrame({"path": list("abcc"), "found": [True, False, True, True], "kind": ["x", "x", "y", "y"]})
    rows_ = recall_by_group(table_, "kind")
    assert rows_[["group", "lesions", "recall"]].values.tolist() == [["x", 2, 0.5], ["y", 2, 1.0]]
    assert rows_[["low", "high"]].values.tolist() == [[0, 1], [1, 1]]  # x: both scans a, or both b, are among the draws


def test_recall_by_group_leaves_out_empty_groups():
    group_ = pd.Categorical(["x", "x"], ["x", "y"])
    rows_ = recall_by_group(pd.DataFrame({"path": ["a", "b"], "found": [False, False], "kind": group_}), "kind")
    assert rows_.values.tolist() == [["x", 2, 0.0, 0.0, 0.0]]
    assert recall_by_group(pd.DataFrame({"path": [], "found": [], "kind": []}), "kind").empty


def test_outcomes_and_telling_scans_by_hand():
    big_, small_, off_ = [0, 0, 50, 50], [60, 60, 70, 70], [80, 0, 90, 10]
    scan_ = dict(width=100, height=100, true_boxes=[big_, small_])
    images_ = [
        dict(path="a", boxes=[big_, off_], scores=[0.75, 0.5], **scan_),
        dict(path="b", boxes=[small_, off_, off_], scores=[1.0, 0.625, 0.25], **scan_),
    ]
    table_ = detection_outcomes(images_, 0.5)
    assert table_[table_.path == "a"].values[:, 1:].tolist() == [["hit", 0.75], ["false alarm", 0.5], ["miss", 0.01]]
    assert telling_scans(table_) == {"hit": ("b", 1.0), "miss": ("b", 0.25), "false alarm": ("b", 0.625)}


def test_outcomes_of_a_silent_and_of_a_perfect_detector():
    spot_ = [[0, 0, 10, 10]]
    image_ = dict(path="a", width=100, height=100, boxes=spot_, scores=[0.5], true_boxes=spot_)
    assert telling_scans(detection_outcomes([image_], 0.75)) == {"miss": ("a", 0.01)}
    assert telling_scans(detection_outcomes([image_], 0.5)) == {"hit": ("a", 0.5)}
    assert telling_scans(detection_outcomes([], 0.5)) == {} and detection_outcomes([], 0.5).value.dtype == float


def test_independent_misses_by_hand():
    half_ = np.array([[True, True], [False, False]])  # both miss half, and the same half
    assert independent_misses(half_).tolist() == [0.5, 1.0, 0.5]
    assert independent_misses([[True, False, False]] * 4).tolist() == [0, 4, 0, 0]


def test_misses_without_lesions():
    assert independent_misses(np.zeros((0, 2))).tolist() == [0, 0, 0]
    assert miss_agreement(pd.DataFrame({"a": [], "b": []}, dtype=bool)).isna().all(axis=None)


def test_miss_agreement_by_hand():
    table_ = pd.DataFrame({"a": [True, True, False, False], "b": [True, False, False, False], "none": [False] * 4})
    kappa_ = miss_agreement(table_)
    assert np.isclose(kappa_["a"]["b"], (3 / 4 - 1 / 2) / (1 - 1 / 2))  # agree on 3 of 4, by chance on half
    assert kappa_["a"]["a"] == 1 and kappa_["a"]["none"] == 0 and np.isnan(kappa_["none"]["none"])


def test_a_small_but_steady_difference_is_found():
    rng_ = np.random.default_rng(0)
    tp_ = (rng_.random(200) < 0.7).astype(int)
    first_ = pd.DataFrame({"path": range(200), "tp": tp_, "fp": 0, "fn": 1 - tp_})
    second_ = first_.copy()
    lost_ = np.flatnonzero(tp_)[:8]  # it fails on the same scans, and on eight more
    second_.loc[lost_, ["tp", "fn"]] = 0, 1
    interval_ = lambda c: bootstrap_interval(
        lambda tp, fp, fn, axis: f1_score(tp.sum(axis), fp.sum(axis), fn.sum(axis)), *c[["tp", "fp", "fn"]].to_numpy().T
    )
    difference_, low_, high_ = f1_difference(first_, second_)
    assert 0 < low_ < difference_ < high_
    assert interval_(first_)[0] < interval_(second_)[1]  # ... although the single intervals overlap


def test_no_difference_from_itself_and_the_sign_turns():
    images_ = pd.DataFrame({"path": list("abcd"), "tp": [1, 0, 1, 1], "fp": [0, 2, 0, 1], "fn": [0, 1, 0, 0]})
    silent_ = images_.assign(tp=0, fp=0, fn=1)
    assert f1_difference(images_, images_) == (0, 0, 0)
    assert f1_difference(silent_, silent_) == (0, 0, 0)
    forth_, back_ = f1_difference(images_, silent_), f1_difference(silent_, images_)
    assert np.isclose(forth_[0], 2 * 3 / (2 * 3 + 3 + 1)) and np.allclose(forth_, (-back_[0], -back_[2], -back_[1]))


def test_differences_want_the_same_scans():
    images_ = pd.DataFrame({"path": ["a", "b"], "tp": 1, "fp": 0, "fn": 0})
    with pytest.raises(ValueError, match="same scans in the same order"):
        f1_difference(images_, images_[::-1])
