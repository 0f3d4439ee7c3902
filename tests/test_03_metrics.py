"""Tests of nbs/03_metrics.ipynb, generated from its test cells. Edit the notebook, then run `make export`."""

import io
import json
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest
import torch
from scipy.ndimage import binary_erosion
from scipy.spatial.distance import cdist
from sklearn import metrics as sk
from torchmetrics.functional.classification import multiclass_calibration_error

from brain_mri.metrics import (
    NAMES, accuracy, bootstrap_interval, box_iou, calibration_error, choose_threshold, classification_scores,
    confusion_counts, detection_counts, detection_curve, detection_scores, detections_from_frame,
    detections_to_frame, dice, f1_score, fill_box, fill_ellipse, hd95, lesion_finds, mask_iou, match_boxes,
    mean_average_precision, precision, recall, segmentation_scores,
)


def test_confusion_counts_by_hand():
    assert confusion_counts([1, 1, 0, 0, 0], [1, 0, 1, 0, 0]) == (1, 1, 1, 2)


def test_confusion_counts_agree_with_scikit_learn():
    rng = np.random.default_rng(0)
    true, predicted = rng.random((2, 200)) < 0.4
    tn, fp, fn, tp = sk.confusion_matrix(true, predicted).ravel()
    assert confusion_counts(true, predicted) == (tp, fp, fn, tn)


def test_confusion_counts_wants_equal_shapes():
    with pytest.raises(ValueError, match=r"one shape, got \(2,\) and \(3,\)"):
        confusion_counts([1, 0], [1, 0, 1])


def test_equations_1_to_4_agree_with_scikit_learn():
    rng = np.random.default_rng(1)
    for share in (0.1, 0.5, 0.9):
        true, predicted = rng.random((2, 300)) < share
        tp, fp, fn, tn = confusion_counts(true, predicted)
        assert np.isclose(accuracy(tp, fp, fn, tn), sk.accuracy_score(true, predicted))
        assert np.isclose(precision(tp, fp), sk.precision_score(true, predicted))
        assert np.isclose(recall(tp, fn), sk.recall_score(true, predicted))
        assert np.isclose(f1_score(tp, fp, fn), sk.f1_score(true, predicted))


def test_equations_by_hand():
    assert precision(8, 2) == 0.8 and recall(8, 8) == 0.5
    assert np.isclose(f1_score(8, 2, 8), 8 / 13)  # 2 * 0.8 * 0.5 / 1.3
    assert accuracy(3, 1, 2, 4) == 0.7


def test_zero_divided_by_zero_is_zero():
    assert precision(0, 0) == recall(0, 0) == f1_score(0, 0, 0) == accuracy(0, 0, 0, 0) == 0.0
    assert f1_score(0, 0, 3) == sk.f1_score([1, 1, 1], [0, 0, 0], zero_division=0)


def test_equations_work_on_arrays():
    assert np.allclose(precision(np.array([1, 0]), np.array([1, 0])), [0.5, 0.0])
    assert np.allclose(f1_score(np.array([1, 0]), np.array([0, 1]), np.array([0, 1])), [1.0, 0.0])
    assert isinstance(precision(1, 1), float)


def test_box_iou_by_hand():
    assert box_iou([0, 0, 10, 10], [0, 0, 10, 5])[0, 0] == 0.5
    assert np.isclose(box_iou([0, 0, 10, 10], [5, 5, 15, 15])[0, 0], 25 / 175)
    assert box_iou([0, 0, 10, 10], [10, 0, 20, 10])[0, 0] == 0  # touching is not overlapping


def test_box_iou_shapes_and_empty_boxes():
    assert box_iou(np.zeros((0, 4)), np.ones((3, 4))).shape == (0, 3)
    assert box_iou([], []).shape == (0, 0)
    assert box_iou([[1, 1, 1, 1]], [[1, 1, 1, 1]])[0, 0] == 0
    with pytest.raises(ValueError, match="x0, y0, x1, y1"):
        box_iou([1, 2, 3], [0, 0, 1, 1])


def test_no_lesion_makes_every_box_a_false_positive():
    assert match_boxes([[50, 20, 80, 50]], [0.8], []).tolist() == [-1]


def test_two_boxes_on_one_lesion_are_one_find():
    pred, spot = [[24, 34, 64, 74], [20, 30, 60, 70]], [[20, 30, 60, 70]]
    assert match_boxes(pred, [0.9, 0.6], spot).tolist() == [0, -1]
    assert match_boxes(pred, [0.6, 0.9], spot).tolist() == [-1, 0]


def test_among_equal_scores_the_first_box_wins():
    pred = [[22, 32, 62, 72], [18, 28, 58, 68]]
    assert match_boxes(pred, [0.7, 0.7], [[20, 30, 60, 70]]).tolist() == [0, -1]
    assert match_boxes(pred[::-1], [0.7, 0.7], [[20, 30, 60, 70]]).tolist() == [0, -1]


def test_among_equal_overlaps_the_first_lesion_is_taken():
    spot = [20, 30, 60, 70]
    assert match_boxes([spot, spot], [0.5, 0.6], [spot, spot]).tolist() == [1, 0]


def test_perfect_boxes_all_match():
    boxes = [[20, 30, 60, 70], [70, 10, 95, 35]]
    assert match_boxes(boxes, [0.8, 0.9], boxes).tolist() == [0, 1]


def test_wrong_boxes_never_match():
    assert match_boxes([[60, 60, 95, 95], [5, 5, 40, 40]], [0.9, 0.5], [[20, 30, 60, 70]]).tolist() == [-1, -1]


def test_the_limit_itself_counts():
    half = [[0, 0, 10, 5]]  # IoU with the lesion is exactly 0.5
    assert match_boxes(half, [0.9], [[0, 0, 10, 10]]).tolist() == [0]
    assert match_boxes(half, [0.9], [[0, 0, 10, 10]], iou=0.51).tolist() == [-1]


def test_a_box_takes_the_free_lesion_it_overlaps_most():
    true = [[0, 0, 10, 10], [2, 0, 12, 10]]
    assert match_boxes([[2, 0, 12, 10], [2, 0, 12, 10]], [0.9, 0.8], true).tolist() == [1, 0]


def test_match_boxes_wants_a_score_for_every_box():
    with pytest.raises(ValueError, match="got 2 scores for 1 boxes"):
        match_boxes([[0, 0, 1, 1]], [0.5, 0.5], [])


def test_detection_counts_by_hand():
    spot, other = [20, 30, 60, 70], [70, 10, 95, 35]
    empty = np.zeros((0, 4))
    images = [
        dict(path="found", boxes=[spot, other], scores=[0.9, 0.8], true_boxes=[spot]),
        dict(path="missed", boxes=[spot], scores=[0.2], true_boxes=[spot]),
        dict(path="healthy", boxes=empty, scores=[], true_boxes=empty),
    ]
    counts = detection_counts(images, 0.5)
    assert counts[["tp", "fp", "fn"]].values.tolist() == [[1, 1, 0], [0, 0, 1], [0, 0, 0]]
    assert counts.present.tolist() == [True, True, False]
    assert counts.found.tolist() == [True, False, False]


def test_detection_counts_keeps_a_score_equal_to_the_threshold():
    image = dict(path="a", boxes=[[0, 0, 4, 4]], scores=np.float32([0.1]), true_boxes=[[0, 0, 4, 4]])
    assert detection_counts([image], float(np.float32(0.1))).tp.tolist() == [1]
    assert detection_counts([], 0.5).columns.tolist() == ["path", "tp", "fp", "fn", "present", "found"]


def test_lesion_finds_by_hand():
    spot, other = [0, 0, 50, 50], [50, 50, 60, 60]
    image = dict(path="a", width=100, height=100, boxes=[other, spot], scores=[0.4, 0.9], true_boxes=[spot, other])
    assert lesion_finds([image], 0.5).values.tolist() == [["a", 0.25, True], ["a", 0.01, False]]
    assert lesion_finds([image], 0.4).found.tolist() == [True, True]
    assert lesion_finds([image | dict(true_boxes=[])], 0.5).empty


def test_detection_curve_agrees_with_counting_at_every_threshold():
    rng = np.random.default_rng(3)
    images = [
        dict(
            path=str(i),
            true_boxes=[[10, 10, 30, 30]] if i % 5 else np.zeros((0, 4)),
            scores=rng.integers(1, 20, 4) / 20,  # many ties
            boxes=np.add([[10, 10, 30, 30]], rng.normal(0, 5, (4, 1))),
        )
        for i in range(15)
    ]
    for row in detection_curve(images).itertuples():
        c = detection_counts(images, row.threshold)[["tp", "fp", "fn"]].sum()
        assert (row.tp, row.fp, row.fn) == tuple(c) and np.isclose(row.f1, f1_score(*c))


def test_detection_curve_of_nothing_has_no_rows():
    assert detection_curve([]).empty
    assert detection_curve([dict(boxes=np.zeros((0, 4)), scores=[], true_boxes=[[0, 0, 9, 9]])]).empty


def test_choose_threshold_by_hand():
    spot, wrong = [20, 30, 60, 70], [70, 10, 95, 35]
    images = [
        dict(path="a", boxes=[spot, wrong], scores=[0.9, 0.3], true_boxes=[spot]),
        dict(path="b", boxes=[spot], scores=[0.6], true_boxes=[spot]),
    ]
    assert choose_threshold(images) == 0.6  # both found, the wrong box left out


def test_choose_threshold_without_a_right_box_is_a_half():
    assert choose_threshold([]) == 0.5
    assert choose_threshold([dict(path="a", boxes=[], scores=[], true_boxes=[[0, 0, 9, 9]])]) == 0.5
    assert choose_threshold([dict(path="a", boxes=[[0, 0, 9, 9]], scores=[0.9], true_boxes=[])]) == 0.5


def test_average_precision_by_hand():
    a, b, wrong = [20, 30, 60, 70], [70, 10, 95, 35], [5, 75, 30, 95]
    image = dict(path="a", boxes=[a, wrong, b], scores=[0.9, 0.8, 0.7], true_boxes=[a, b])
    assert np.allclose(mean_average_precision([image]), (51 * 1 + 50 * 2 / 3) / 101)


def test_average_precision_asks_for_tighter_and_tighter_boxes():
    image = dict(path="a", boxes=[[0, 0, 100, 72]], scores=[0.9], true_boxes=[[0, 0, 100, 100]])
    assert np.allclose(mean_average_precision([image]), (1, 5 / 10))  # IoU 0.72 passes 0.5, 0.55, ... 0.7


def test_average_precision_at_the_ends():
    box, empty = [[20, 30, 60, 70]], np.zeros((0, 4))
    assert np.allclose(mean_average_precision([dict(boxes=box, scores=[0.1], true_boxes=box)]), 1)
    assert np.allclose(mean_average_precision([dict(boxes=empty, scores=[], true_boxes=box)]), 0)
    assert mean_average_precision([dict(boxes=box, scores=[0.9], true_boxes=empty)]) == (0.0, 0.0)
    assert np.allclose(mean_average_precision([dict(boxes=[[70, 10, 95, 35]], scores=[0.9], true_boxes=box)]), 0)  # all wrong


def test_average_precision_of_two_boxes_on_one_lesion_and_of_ties():
    a, b, wrong, empty = [20, 30, 60, 70], [70, 10, 95, 35], [5, 75, 30, 95], np.zeros((0, 4))
    twice = dict(boxes=[a, a, b], scores=[0.9, 0.8, 0.7], true_boxes=[a, b])  # the second box on a is a false alarm
    assert np.allclose(mean_average_precision([twice]), (51 * 1 + 50 * 2 / 3) / 101)
    healthy = dict(boxes=[wrong], scores=[0.95], true_boxes=empty)  # a false alarm in a scan without lesion, surer than the find
    assert np.allclose(mean_average_precision([healthy, dict(boxes=[a], scores=[0.9], true_boxes=[a])]), 1 / 2)
    later = dict(boxes=[wrong], scores=[0.1], true_boxes=empty)  # ... and one that comes after every lesion is found, which costs nothing
    assert np.allclose(mean_average_precision([later, dict(boxes=[a], scores=[0.9], true_boxes=[a])]), 1)
    tie = dict(boxes=[a, wrong], scores=[0.5, 0.5], true_boxes=[a])  # among equal scores the first box comes first
    assert np.allclose(mean_average_precision([tie]), 1)
    assert np.allclose(mean_average_precision([tie | dict(boxes=[wrong, a])]), 1 / 2)


def test_bootstrap_interval_of_a_mean_matches_theory():
    values = np.random.default_rng(0).normal(10, 2, 400)
    low, high = bootstrap_interval(np.mean, values, n_boot=4000)
    error = values.std(ddof=1) / 20
    assert abs(low - (values.mean() - 1.96 * error)) < 0.2 * error
    assert abs(high - (values.mean() + 1.96 * error)) < 0.2 * error


def test_bootstrap_interval_repeats_with_its_seed():
    values = np.random.default_rng(0).random(50)
    assert bootstrap_interval(np.mean, values, seed=1) == bootstrap_interval(np.mean, values, seed=1)
    assert bootstrap_interval(np.mean, values, seed=1) != bootstrap_interval(np.mean, values, seed=2)


def test_bootstrap_keeps_the_values_of_an_image_together():
    a = np.random.default_rng(0).random(40)
    assert np.allclose(bootstrap_interval(lambda x, y, axis: (x - y).sum(axis), a, a), 0)


def test_bootstrap_interval_of_one_image_and_of_none():
    assert bootstrap_interval(np.mean, [0.7]) == (0.7, 0.7)
    with pytest.raises(ValueError, match="at least one image"):
        bootstrap_interval(np.mean, [])


def test_bootstrap_interval_of_equal_values_has_no_width():
    assert bootstrap_interval(np.mean, np.ones(30)) == (1.0, 1.0)


def test_detection_scores_by_hand():
    spot, wrong, empty = [20, 30, 60, 70], [70, 10, 95, 35], np.zeros((0, 4))
    images = [
        dict(path="a", boxes=[spot, wrong], scores=[0.9, 0.8], true_boxes=[spot]),
        dict(path="b", boxes=[wrong], scores=[0.7], true_boxes=[spot]),
        dict(path="c", boxes=empty, scores=[], true_boxes=empty),
        dict(path="d", boxes=[wrong], scores=[0.2], true_boxes=[spot]),
    ]
    metrics, ci95 = detection_scores(images, 0.5)
    assert np.isclose(metrics["accuracy"], 3 / 4)  # image b counts as right: there is a lesion, and a box
    assert np.isclose(metrics["precision"], 1 / 3) and np.isclose(metrics["recall"], 1 / 3)
    assert all(ci95[k][0] <= metrics[k] <= ci95[k][1] for k in ("accuracy", "precision", "recall", "f1"))


def test_detection_scores_have_the_names_of_the_reports():
    box = [[20, 30, 60, 70]]
    metrics, ci95 = detection_scores([dict(path="a", boxes=box, scores=[0.9], true_boxes=box)] * 3, 0.5)
    assert list(metrics) == ["accuracy", "precision", "recall", "f1", "map50", "map50_95", "threshold"]
    assert set(ci95) == {"accuracy", "precision", "recall", "f1"} and ci95["f1"] == [1.0, 1.0]
    assert json.loads(json.dumps([metrics, ci95])) == [metrics, ci95]


def test_detection_scores_of_a_silent_detector_are_zero():
    silent = dict(path="a", boxes=np.zeros((0, 4)), scores=[], true_boxes=[[0, 0, 9, 9]])
    metrics, _ = detection_scores([silent] * 2, 0.5)
    assert [metrics[k] for k in ("accuracy", "precision", "recall", "f1", "map50")] == [0] * 5
    with pytest.raises(ValueError, match="at least one image"):
        detection_scores([], 0.5)


def test_calibration_error_by_hand():
    confidence = [0.9, 0.9, 0.9, 0.9, 0.7, 0.7]
    correct = [1, 1, 1, 0, 1, 0]  # the first bin is right in 3 of 4, the second in 1 of 2
    assert np.isclose(calibration_error(confidence, correct), (4 * 0.15 + 2 * 0.2) / 6)


def test_calibration_error_agrees_with_torchmetrics():
    rng = np.random.default_rng(0)
    p, truth = rng.dirichlet(np.ones(4), 500), rng.integers(0, 4, 500)
    expected = multiclass_calibration_error(torch.tensor(p), torch.tensor(truth), num_classes=4, n_bins=15)
    assert np.isclose(calibration_error(p.max(1), p.argmax(1) == truth), float(expected), atol=1e-6)


def test_calibration_error_at_the_ends():
    assert calibration_error([1.0, 1.0], [1, 1]) == 0
    assert calibration_error([1.0, 1.0], [0, 0]) == 1
    assert calibration_error(np.ones((3, 5)), np.ones((3, 5))).shape == (3,)


def test_classification_scores_agree_with_scikit_learn():
    rng = np.random.default_rng(0)
    truth, p = rng.integers(0, 4, 300), rng.dirichlet(np.ones(4), 300)
    metrics, _ = classification_scores(truth, p, n_boot=10)
    said, options = p.argmax(1), dict(average="macro", zero_division=0)
    assert np.isclose(metrics["accuracy"], sk.accuracy_score(truth, said))
    assert np.isclose(metrics["precision"], sk.precision_score(truth, said, **options))
    assert np.isclose(metrics["recall"], sk.recall_score(truth, said, **options))
    assert np.isclose(metrics["f1"], sk.f1_score(truth, said, **options))
    assert np.isclose(metrics["f1_binary"], sk.f1_score(truth != 2, said != 2))


def test_binary_scores_agree_with_scikit_learn():
    rng = np.random.default_rng(1)
    truth, p = rng.integers(0, 4, 200), rng.dirichlet(np.ones(4), 200)
    metrics, _ = classification_scores(truth, p, n_boot=10)
    true, said = truth != 2, p.argmax(1) != 2
    assert np.isclose(metrics["accuracy_binary"], sk.accuracy_score(true, said))
    assert np.isclose(metrics["precision_binary"], sk.precision_score(true, said))
    assert np.isclose(metrics["recall_binary"], sk.recall_score(true, said))


def test_absent_classes_are_left_out():
    p = np.eye(4)[[0, 0, 1, 3]]  # pituitary (3) is predicted once but never true; class 2 does not occur at all
    metrics, _ = classification_scores([0, 0, 1, 1], p)
    assert np.isclose(metrics["recall"], (1 + 1 / 2 + 0) / 3)
    assert np.isclose(metrics["precision"], (1 + 1 + 0) / 3)
    assert np.isclose(metrics["f1"], sk.f1_score([0, 0, 1, 1], [0, 0, 1, 3], average="macro", zero_division=0))


def test_absent_classes_agree_with_scikit_learn_at_random():
    rng = np.random.default_rng(4)
    for _ in range(30):
        truth, said = rng.integers(0, 4, (2, 3))
        metrics, _ = classification_scores(truth, np.eye(4)[said], n_boot=2)
        expected = sk.precision_recall_fscore_support(truth, said, average="macro", zero_division=0)[:3]
        assert np.allclose([metrics[k] for k in ("precision", "recall", "f1")], expected)


def test_classification_scores_take_names_or_ids():
    p = np.eye(4)[[0, 1, 2, 3, 0]]
    names = ["glioma", "meningioma", "no_tumor", "pituitary", "pituitary"]
    assert classification_scores(names, p) == classification_scores([0, 1, 2, 3, 3], p)
    assert classification_scores(pd.Series(names), p) == classification_scores(np.array(names), p)


def test_classification_scores_intervals_hold_the_value():
    rng = np.random.default_rng(0)
    truth = rng.integers(0, 4, 200)
    metrics, ci95 = classification_scores(truth, 0.7 * np.eye(4)[np.where(rng.random(200) < 0.8, truth, 0)] + 0.075)
    assert list(metrics) == list(ci95) == list(NAMES)
    assert all(ci95[k][0] <= metrics[k] <= ci95[k][1] for k in NAMES if k != "ece")  # the bootstrap of ece is biased upwards
    assert json.loads(json.dumps([metrics, ci95])) == [metrics, ci95]


def test_classification_scores_want_probabilities():
    with pytest.raises(ValueError, match="softmax"):
        classification_scores([0, 1], [[2, 1, 0, 0], [0, 3, 1, 1]])
    with pytest.raises(ValueError, match="4 probabilities"):
        classification_scores([0, 1], np.eye(3)[:2])
    with pytest.raises(ValueError, match="at least one label"):
        classification_scores([], np.zeros((0, 4)))
    with pytest.raises(ValueError, match="labels among"):
        classification_scores(["glioma", "cat"], np.eye(4)[:2])
    with pytest.raises(ValueError, match="labels among"):
        classification_scores([0, 4], np.eye(4)[:2])


def test_dice_and_iou_by_hand():
    a, b = np.zeros((2, 4, 4), bool)
    a[:, :2], b[:2] = True, True  # 8 pixels each, 4 in common
    assert dice(a, b) == 0.5 and np.isclose(mask_iou(a, b), 4 / 12)
    assert dice(a, a) == 1 and dice(a, ~a) == 0


def test_dice_agrees_with_scikit_learn():
    a, b = np.random.default_rng(0).random((2, 30, 30)) < 0.3
    assert np.isclose(dice(a, b), sk.f1_score(a.ravel(), b.ravel()))
    assert np.isclose(mask_iou(a, b), sk.jaccard_score(a.ravel(), b.ravel()))


def test_dice_of_empty_masks():
    empty, full = np.zeros((4, 4), bool), np.ones((4, 4), bool)
    assert dice(empty, empty) == mask_iou(empty, empty) == 1.0
    assert dice(empty, full) == mask_iou(full, empty) == 0.0
    with pytest.raises(ValueError, match="one shape"):
        dice(empty, np.zeros((5, 5), bool))


def test_hd95_by_hand():
    a, b = np.zeros((2, 20, 20), bool)
    a[5:10, 5:10], b[5:10, 8:13] = True, True  # one square, shifted by 3 pixels
    assert hd95(a, b) == 3.0 and hd95(a, a) == 0.0


def test_hd95_forgives_a_speck_and_sees_an_island():
    a = np.zeros((100, 100), bool)
    a[30:60, 30:60] = True
    speck, island = a.copy(), a.copy()
    speck[90, 90], island[80:95, 80:95] = True, True
    assert hd95(a, speck) == 0.0 and hd95(a, island) > 30


def test_hd95_is_symmetric_and_agrees_with_brute_force():
    a, b = np.random.default_rng(0).random((2, 15, 15)) < 0.2
    edge = lambda m: np.argwhere(np.pad(m, 1) & ~binary_erosion(np.pad(m, 1)))
    d = cdist(edge(a), edge(b))
    assert np.isclose(hd95(a, b), max(np.percentile(d.min(1), 95), np.percentile(d.min(0), 95)))
    assert hd95(a, b) == hd95(b, a)


def test_hd95_of_empty_masks():
    empty, full = np.zeros((30, 40), bool), np.ones((30, 40), bool)
    assert hd95(empty, empty) == 0.0
    assert hd95(empty, full) == hd95(full, empty) == 50.0


def test_fill_box_fills_exactly_the_box():
    mask = fill_box([2, 3, 6, 5], (8, 9))
    assert mask[3:5, 2:6].all() and mask.sum() == 8


def test_ellipse_covers_pi_quarters_of_its_box():
    box = [10, 20, 90, 70]
    assert np.isclose(fill_ellipse(box, (100, 100)).sum() / fill_box(box, (100, 100)).sum(), np.pi / 4, atol=0.01)
    assert not (fill_ellipse(box, (100, 100)) & ~fill_box(box, (100, 100))).any()


def test_boxes_without_extent_or_out_of_view_fill_nothing():
    assert not fill_box([3, 3, 3, 6], (9, 9)).any() and not fill_ellipse([3, 3, 3, 6], (9, 9)).any()
    assert not fill_box([20, 20, 30, 30], (9, 9)).any()


def test_box_iou_agrees_with_counting_pixels():
    rng = np.random.default_rng(2)
    for _ in range(20):
        (a, b), size = rng.integers(0, 15, (2, 2)), rng.integers(1, 15, (2, 2))
        boxes = np.c_[[a, b], [a + size[0], b + size[1]]]
        m, n = fill_box(boxes[0], (30, 30)), fill_box(boxes[1], (30, 30))
        assert np.isclose(box_iou(boxes[0], boxes[1])[0, 0], (m & n).sum() / (m | n).sum())


def test_segmentation_scores_are_means_with_intervals():
    frame = pd.DataFrame(dict(path=["a", "b", "c"], dice=[0.8, 0.9, 1.0], hd95=[3.0, 2.0, 1.0]))
    metrics, ci95 = segmentation_scores(frame)
    assert np.isclose(metrics["dice"], 0.9) and np.isclose(metrics["hd95"], 2.0)
    assert ci95["dice"][0] < 0.9 < ci95["dice"][1] and set(metrics) == set(ci95) == {"dice", "hd95"}


def test_segmentation_scores_want_numbers():
    with pytest.raises(ValueError, match="1 missing"):
        segmentation_scores(pd.DataFrame(dict(dice=[0.5, np.nan])))
    with pytest.raises(ValueError, match="columns such as dice"):
        segmentation_scores(pd.DataFrame(dict(path=["a"])))
    with pytest.raises(ValueError, match="at least one image"):
        segmentation_scores(pd.DataFrame(dict(dice=[])))


def test_detections_survive_a_csv_file():
    rng = np.random.default_rng(0)
    images = [
        dict(
            path="a b (1).jpg",
            width=128,
            height=96,
            boxes=rng.random((2, 4), np.float32),
            scores=rng.random(2, np.float32),
            true_boxes=[[1, 2, 3, 4]],
        ),
        dict(path="c.jpg", width=10, height=10, boxes=[], scores=[], true_boxes=[]),
    ]
    back = detections_from_frame(pd.read_csv(io.StringIO(detections_to_frame(images).to_csv(index=False))))
    assert np.array_equal(back[0]["boxes"], images[0]["boxes"]) and np.array_equal(back[0]["scores"], images[0]["scores"])
    assert back[1]["boxes"].shape == (0, 4) and back[1]["scores"].shape == (0,) and back[0]["path"] == "a b (1).jpg"


def test_a_threshold_means_the_same_before_and_after_the_csv_file():
    for kind in (np.float32, np.float64):
        image = dict(path="a", width=9, height=9, boxes=[[0, 0, 9, 9]], scores=np.array([0.1], kind) * 7, true_boxes=[[0, 0, 9, 9]])
        threshold_ = choose_threshold([image])
        assert detection_counts([image], threshold_).tp.sum() == 1
        assert detection_counts(detections_from_frame(detections_to_frame([image])), threshold_).tp.sum() == 1


def test_metrics_import_neither_torch_nor_tensorflow():
    code = "import sys, brain_mri.metrics; sys.exit(bool({'torch', 'tensorflow'} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0
