"""Tests of nbs/22_sam_prompts.ipynb, generated from its test cells. Edit the notebook, then run `make export`."""

from dataclasses import dataclass

import numpy as np
import pytest

from brain_mri.metrics import box_iou, dice, fill_box, fill_ellipse
from brain_mri.sam_prompts import (
    ask_scored, best_boxes, box_of_iou, clean_gains, clean_mask, embed_each, mean_interval, move_edges,
    rank_correlation, rejection_gain, score_offers, segment_all, step_for_iou, with_interval,
)


def test_every_scan_gets_its_own_embedding():
    @dataclass
    class Kept_:
        features: np.ndarray
        shape: tuple


    class Means_:
        def embed(self, images):
            assert len({image.shape for image in images}) == 1 and len(images) <= 2
            return Kept_(np.array([[image.mean()] for image in images]), images[0].shape)


    scans_ = [np.full((4 + i % 2, 6), i, np.uint8) for i in range(7)]
    kept_ = embed_each(Means_(), scans_, batch=2)
    assert [float(k.features[0, 0]) for k in kept_] == list(range(7)) and [k.shape for k in kept_] == [s.shape for s in scans_]
    assert all(k.features.shape == (1, 1) for k in kept_) and embed_each(Means_(), []) == []


def test_overlap_only_falls_along_a_direction():
    rng_ = np.random.default_rng(0)
    for box_ in ([20, 30, 36, 40], [0, 0, 9, 30], [1, 2, 60, 46]):
        for direction_ in rng_.normal(size=(30, 4)):
            path_ = [box_iou(move_edges(box_, direction_, step, (48, 64)), box_)[0, 0] for step in np.linspace(0, 3, 40)]
            assert path_[0] == 1 and (np.diff(path_) <= 1e-12).all()


def test_moved_boxes_have_the_iou_that_was_asked_for():
    rng_ = np.random.default_rng(0)
    for box_ in ([20, 30, 36, 40], [0, 0, 9, 30], [55, 40, 64, 48], [3, 3, 5, 4]):
        for wanted_ in (1.0, 0.9, 0.7, 0.5, 0.1):
            for _ in range(10):
                moved_ = box_of_iou(rng_, box_, wanted_, (48, 64))
                assert abs(box_iou(moved_, box_)[0, 0] - wanted_) < 0.01
                assert moved_.dtype == np.float32 and (moved_ >= 0).all() and (moved_ <= [64, 48, 64, 48]).all()


def test_impossible_qualities_are_refused():
    rng_ = np.random.default_rng(0)
    for wrong_ in (0, -0.5, 1.2):
        with pytest.raises(ValueError, match="expected an IoU above 0 and up to 1, got"):
            box_of_iou(rng_, [2, 2, 9, 9], wrong_, (20, 20))
    with pytest.raises(ValueError, match="expected a direction that lowers the IoU to 0.5, got"):
        step_for_iou([0, 0, 20, 20], [-1, -1, 1, 1], 0.5, (20, 20))  # the whole image cannot grow
    assert np.isclose(step_for_iou([0, 0, 10, 10], [0, 0, 1, 0], 0.5, (20, 99)), 1)  # twice as wide
    assert box_of_iou(rng_, [2, 2, 9, 9], 1, (20, 20)).tolist() == [2, 2, 9, 9]


def test_answers_are_scored_beside_the_shapes_of_their_box():
    class Filler_:
        def ask(self, embedding, boxes):
            return np.stack([fill_box(b, embedding) for b in boxes]), np.full(len(boxes), 0.75, np.float32)


    true_ = fill_box([4, 4, 12, 12], (20, 30))
    table_ = ask_scored(Filler_(), true_.shape, true_, [[4, 4, 12, 12], [4, 4, 12, 20]])
    assert table_.dice.tolist() == table_.dice_filled_box.tolist() == [1, 2 / 3] and table_.iou.tolist() == [1, 0.5]
    assert table_.predicted_iou.tolist() == [0.75, 0.75] and table_.dice_ellipse[0] < 1


def test_mean_interval_of_many_one_and_no_values():
    mean_, low_, high_ = mean_interval([0.0, 1.0] * 20)
    assert mean_ == 0.5 and 0 < low_ < 0.5 < high_ < 1
    assert mean_interval([0.25]) == (0.25, 0.25, 0.25) and np.isnan(mean_interval([])).all()


def test_the_best_box_over_the_threshold():
    lesion_ = [[10, 10, 20, 20]]
    two_ = dict(path="a", boxes=[[10, 10, 20, 30], [10, 10, 20, 22], [10, 10, 20, 20]], scores=[0.9, 0.7, 0.2], true_boxes=lesion_)
    beside_ = dict(path="b", boxes=[[40, 40, 50, 50]], scores=[0.9], true_boxes=lesion_)
    silent_ = dict(path="c", boxes=np.zeros((0, 4)), scores=[], true_boxes=lesion_)
    table_ = best_boxes([two_, beside_, silent_], 0.5)
    assert table_.box[0].tolist() == [10, 10, 20, 22] and np.isclose(table_.box_iou[0], 10 / 12) and not table_.surest[0]
    assert [box is None for box in table_.box] == [False, True, True] and table_.box_iou.tolist()[1:] == [0, 0]
    assert best_boxes([two_], 0.8).surest[0] and best_boxes([], 0.5).empty


def test_a_lesion_without_a_box_scores_zero():
    class Filler_:
        def ask(self, embedding, boxes):
            return np.stack([fill_box(b, embedding) for b in boxes]), np.full(len(boxes), 0.75, np.float32)


    true_ = fill_box([4, 4, 12, 12], (20, 30))
    table_ = score_offers(Filler_(), [true_.shape] * 2, [true_] * 2, [None, np.float32([4, 4, 12, 12])])
    assert table_.dice.tolist() == table_.dice_filled_box.tolist() == [0, 1] and table_.dice_ellipse[0] == 0
    assert np.isnan(table_.predicted_iou[0]) and table_.predicted_iou[1] == 0.75 and score_offers(None, [], [], []).empty


def test_union_of_all_boxes():
    class Filler_:
        def ask(self, embedding, boxes):
            return np.array([fill_box(b, embedding) for b in boxes], bool).reshape(-1, *embedding), None


    united_ = segment_all(Filler_(), (20, 20), [[0, 0, 4, 4], [2, 2, 6, 6]])
    assert united_.sum() == 16 + 16 - 4 and not segment_all(Filler_(), (20, 20), []).any()
    assert segment_all(Filler_(), (20, 20), np.zeros((0, 4))).shape == (20, 20)


def test_rank_correlation_and_rejection_by_hand():
    sure_ = np.array([0.9, 0.8, 0.7, 0.1])
    assert rank_correlation(sure_, [4, 3, 2, 1]) == 1 and rank_correlation(sure_, [1, 2, 3, 4]) == -1
    assert np.isclose(rejection_gain(sure_, [1.0, 1.0, 1.0, 0.2], 0.25), 1 - 0.8)  # the doubtful mask was the bad one
    assert np.isclose(rejection_gain(sure_, [0.2, 1.0, 1.0, 1.0], 0.25), 2.2 / 3 - 0.8)  # and here it was not


def test_confidence_without_spread_or_masks():
    assert rank_correlation(np.ones(4), [1, 2, 3, 4]) == 0 and rank_correlation([[1, 2], [2, 1]], [[1, 2], [1, 2]]).tolist() == [1, -1]
    assert rejection_gain([0.5], [0.25]) == 0 and rejection_gain(np.arange(30), np.arange(30), 0.1) == 1.5  # three of 30 go
    assert np.isnan(with_interval(rank_correlation, np.zeros((1, 0)), np.zeros((1, 0)))).all()
    noise_ = np.random.default_rng(0).random((3, 40))
    value_, low_, high_ = with_interval(rank_correlation, noise_, noise_ + [[0.0], [1.0], [2.0]], n_boot=50)
    assert 0 < low_ < value_ < high_ < 1 and np.isclose(value_, rank_correlation(noise_.ravel(), (noise_ + [[0.0], [1.0], [2.0]]).ravel()))


def test_each_fault_is_mended():
    box_ = [10, 10, 30, 30]
    lesion_ = fill_box([12, 12, 28, 28], (50, 60))
    assert np.array_equal(clean_mask(lesion_, box_), lesion_)  # nothing to do
    holey_ = lesion_ & ~fill_box([18, 20, 22, 24], (50, 60))
    crumbs_ = lesion_ | fill_box([31, 31, 33, 33], (50, 60))
    spilt_ = lesion_ | fill_box([28, 12, 55, 20], (50, 60))
    for faulty_ in (holey_, crumbs_):
        assert np.array_equal(clean_mask(faulty_, box_), lesion_)
    assert np.array_equal(clean_mask(spilt_, box_), lesion_ | fill_box([28, 12, 35, 20], (50, 60)))  # a quarter of the box beyond it
    for little_ in (np.zeros((50, 60), bool), fill_box([12, 12, 15, 15], (50, 60))):
        assert np.array_equal(clean_mask(little_, box_), fill_ellipse(box_, (50, 60)))


def test_which_components_stay():
    box_ = [10, 10, 30, 30]
    large_, half_, centre_ = (fill_box(b, (40, 40)) for b in ([11, 11, 17, 29], [23, 11, 29, 20], [19, 19, 21, 21]))
    assert np.array_equal(clean_mask(large_ | half_ | centre_, box_), large_ | half_ | centre_)  # at the centre even a small one stays
    assert np.array_equal(clean_mask(large_ | half_ | centre_, box_, least_share=0.6), large_ | centre_)


def test_every_step_can_be_switched_off():
    noise_ = np.random.default_rng(0).random((40, 40)) > 0.6
    off_ = dict(margin=np.inf, holes=False, least_share=0, least_fill=0)
    assert np.array_equal(clean_mask(noise_, [10, 10, 30, 30], **off_), noise_) and noise_[0].any()
    assert not clean_mask(np.zeros((40, 40), bool), [10, 10, 30, 30], **off_).any()
    with pytest.raises(ValueError, match="expected a box x0, y0, x1, y1 with an area, got"):
        clean_mask(noise_, [10, 10, 10, 30])


def test_gains_of_a_clean_up():
    true_ = fill_box([12, 12, 28, 28], (40, 40))
    holey_ = true_ & ~fill_box([18, 20, 22, 24], (40, 40))
    gains_ = clean_gains([true_, holey_], [true_, true_], [[10, 10, 30, 30]] * 2)
    assert gains_[0] == 0 and np.isclose(gains_[1], 1 - dice(holey_, true_)) and clean_gains([], [], []).shape == (0,)
