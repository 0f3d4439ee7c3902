"""Tests of nbs/63_benchmarks.ipynb, generated from its test cells. Edit the notebook, then run `make export`."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch
from segment_anything import SamPredictor

from brain_mri.benchmarks import (
    NaiveChain, Ratio, agreement, alternate, benchmarks_in_words, greatest_gain, input_ways, naive_chain, one_epoch,
    ratio_with_range, stage_times,
)
from brain_mri.metrics import mask_iou
from brain_mri.pipeline import Finding, STAGES, spots_pipeline
from brain_mri.sam import Segmenter, build_small_sam


def test_pairs_are_timed_in_turn_after_a_warm_up():
    now_, order_ = [0.0], []


    def takes_(name, *seconds):
        seconds = iter(seconds)

        def call():
            order_.append(name)
            now_[0] += next(seconds)

        return call


    table_ = alternate({"a": takes_("a", 50, 3, 8), "b": takes_("b", 70, 1, 2)}, 2, clock=lambda: now_[0])
    assert "".join(order_) == "ababab" and table_.to_dict("list") == {"a": [3, 8], "b": [1, 2]}
    assert ratio_with_range(table_["a"], table_["b"]) == (3.5, 3, 4)


def test_pairs_that_are_none_are_refused():
    for slow_, fast_ in (([], []), ([1, 2], [1])):
        with pytest.raises(ValueError, match=f"expected two equally long lists of seconds, got {len(slow_)} and {len(fast_)}"):
            ratio_with_range(slow_, fast_)


def test_naive_chain_asks_each_library_once_and_falls_back_like_the_pipeline():
    def stand_in_(boxes, mask):
        """A chain of stand-ins that answer with given boxes (N x 5, with score) and mask."""
        pipeline, boxes = spots_pipeline(), torch.tensor(boxes, dtype=torch.float32).reshape(-1, 5)
        pipeline.detector = SimpleNamespace(size=16, median=1, threshold=0.5, overlap=0.5, device="cpu")
        pipeline.segmenter = SimpleNamespace(box_as_mask=False)
        found = SimpleNamespace(boxes=SimpleNamespace(xyxy=boxes[:, :4], conf=boxes[:, 4]))
        asked = []
        yolo = SimpleNamespace(predict=lambda image, **options: asked.append((image.shape, options)) or [found])
        sam = SimpleNamespace(
            set_image=lambda image: asked.append(image.shape), predict=lambda **ask: asked.append(ask) or (mask[None], None, None)
        )
        keras_ = SimpleNamespace(predict=lambda crop, verbose: asked.append(crop.shape) or np.float32([[0, 0, 0, 1]]))
        return NaiveChain(yolo, sam, keras_, pipeline), asked


    scan_, half_ = np.full((64, 64), 200, np.uint8), np.tile(np.arange(32) < 8, (32, 1))
    chain_, asked_ = stand_in_([[0, 0, 4, 4, 0.6], [4, 4, 12, 12, 0.9]], half_)
    found_ = chain_(scan_)
    assert asked_[0][0] == (16, 16, 3) and asked_[0][1]["conf"] == 0.5 and asked_[1] == (32, 32, 3) and asked_[3] == (1, 16, 16, 1)
    assert asked_[2]["box"].tolist() == [8, 8, 24, 24] and found_.box.tolist() == [8, 8, 24, 24] and (found_.mask == half_).all()
    assert found_.label == "pituitary" and found_.fallbacks == ("several found",) and list(found_.milliseconds) == list(STAGES)
    chain_.on_batch, chain_.model.predict_on_batch = True, lambda crop: np.float32([[1, 0, 0, 0]])
    assert chain_(scan_).label == "glioma"
    chain_, asked_ = stand_in_([], half_)
    assert chain_(scan_).fallbacks == ("nothing found",) and len(asked_) == 2
    assert stand_in_([[4, 4, 12, 12, 0.9]], half_ & False)[0](scan_).mask.sum() == 16**2

    with pytest.raises(ValueError, match="expected a Keras classifier, got another: correct the parameter"):
        naive_chain(spots_pipeline(), "")


def test_sam_predictor_is_asked_what_the_segmenter_asks():
    image_ = np.random.default_rng(0).integers(0, 255, (32, 32)).astype(np.uint8)
    box_ = np.float32([5, 8, 25, 20])
    for as_mask_ in (True, False):
        segmenter_ = Segmenter(build_small_sam(32, 8, width=32, depth=1), box_as_mask=as_mask_, device="cpu")
        chain_ = NaiveChain(None, SamPredictor(segmenter_.sam), None, SimpleNamespace(segmenter=segmenter_))
        masks_, _ = segmenter_.ask(segmenter_.embed([image_]), box_)
        assert 0 < masks_[0].mean() < 1 and mask_iou(chain_.outline(image_, box_), masks_[0]) > 0.99, as_mask_


def test_agreement_by_hand():
    black_, left_ = np.zeros((4, 4), bool), np.tile(np.arange(4) < 2, (4, 1))
    finding_ = lambda mask, p, fall=(): Finding(None, None, np.zeros((0, 4)), np.zeros(0), mask, None, np.float32(p), fall, {})
    one_ = [finding_(left_, [1, 0, 0, 0]), finding_(black_, [0, 1, 0, 0]), finding_(~black_, [0, 1, 0, 0])]
    two_ = [finding_(left_, [0.75, 0.25, 0, 0]), finding_(black_, [0, 1, 0, 0], ("nothing found",)), finding_(left_, [0.5, 0, 0.5, 0])]
    assert agreement(one_, one_) == dict(same_class=1, same_fallbacks=1, probability_difference=0, mask_iou=1, mask_iou_least=1)
    assert agreement(one_, two_) == dict(same_class=2 / 3, same_fallbacks=2 / 3, probability_difference=1, mask_iou=0.75, mask_iou_least=0.5)
    assert np.isnan(agreement(one_[1:2], two_[1:2])["mask_iou"])


def test_greatest_gain_and_stage_times_by_hand():
    assert greatest_gain([1, 2, 3], 2) == 2 and greatest_gain([0, 5], 0) == 1 and greatest_gain([4], 0) == float("inf")
    part_ = lambda *ms: [SimpleNamespace(milliseconds=dict(zip(STAGES, ms)))] * 2
    times_ = stage_times([part_(1, 2, 3), part_(3, 2, 1), part_(2, 2, 2)], [0.020, 0.022, 0.018])
    assert times_.round(9).to_dict() == {"rest": 4, "detect": 2, "outline": 2, "name": 2}


def test_three_ways_give_the_same_kind_of_batches():
    crops_ = np.random.default_rng(0).integers(0, 255, (6, 16, 16)).astype(np.uint8)
    labels_ = np.arange(6)
    for name_, source_ in input_ways(crops_, labels_, 4).items():
        (first_, y_), (second_, z_) = one_epoch(source_)
        depth_ = 1 if name_ == "CropBatches" else 3
        assert np.shape(first_) == (4, 16, 16, depth_) and np.shape(second_) == (2, 16, 16, depth_), name_
        assert sorted([*np.asarray(y_), *np.asarray(z_)]) == list(range(6)), name_
        assert float(np.max(first_)) > 30 and float(np.min(first_)) >= 0, name_


def test_reading_says_whether_aims_are_reached():
    text_ = benchmarks_in_words(
        {"a": (Ratio(4, 3, 5), 3), "b": (Ratio(4, 2, 5), 3), "c": (Ratio(2, 1, 5), 3), "d": (Ratio(2, 1, 3), None)},
        dict(same_class=1.0, mask_iou=0.9876),
    )
    assert text_ == [
        "a: 4.00 times as fast (3.00 to 5.00); the aim of 3 is reached in every pair.",
        "b: 4.00 times as fast (2.00 to 5.00); the aim of 3 is reached in the median, not in every pair.",
        "c: 2.00 times as fast (1.00 to 5.00); the aim of 3 is not reached.",
        "d: 2.00 times as fast (1.00 to 3.00).",
        "Both chains give 100.0% of the scans the same class, and their outlines have a mean IoU of 0.988: the speed changes no class.",
    ]
    unlike_ = benchmarks_in_words({}, dict(same_class=0.75, mask_iou=float("nan")))[-1]
    assert unlike_.startswith("Both chains give 75.0% of the scans the same class, and neither outlines anything: some answers change")
