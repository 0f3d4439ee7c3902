"""Tests of nbs/08_detection.ipynb, generated from its test cells. Edit the notebook, then run `make export`."""

import json
import tempfile
from pathlib import Path

import numpy as np
import pandas as pd

from brain_mri.detection import detect, publish_detector
from brain_mri.reports import Run, read_card


def test_every_scan_is_searched_once_and_keeps_its_row():
    class Counting:
        def predict(self, scans):
            return [(np.float32([[0, 0, *scan.shape[::-1]]]), np.float32([0.5])) for scan in scans]


    table = pd.DataFrame({"path": range(5), "width": [3, 4, 5, 6, 7], "height": 9, "boxes": [np.zeros((0, 4))] * 5})
    results = detect(Counting(), table, lambda i: np.zeros((9, 3 + i), np.uint8), batch=2)
    assert [r["path"] for r in results] == list(range(5)) and [r["boxes"][0, 2] for r in results] == [3, 4, 5, 6, 7]
    assert detect(Counting(), table[:0], None) == []


def test_published_scores_follow_from_the_validation_threshold():
    made = Run("08_detection")
    spot = np.float32([[10, 10, 30, 30]])
    result = lambda score, box=spot: dict(path="a", width=64, height=64, boxes=box, scores=np.float32([score]), true_boxes=spot)
    with tempfile.TemporaryDirectory() as place:
        made.out = made.work = Path(place)
        results = {"val": [result(0.8), result(0.3, spot + 30)], "test": [result(0.9), result(0.5)]}
        scores = publish_detector(
            made, results, "retinanet", "RetinaNet", {"image_size": 64}, dataset="d", weights="scratch", seed=0, n_train=5
        )
        card = read_card(place, "detector")
        assert card["threshold"] == 0.8 and card["image_size"] == 64 and np.isclose(card["f1_validation"], 2 / 3)
        assert scores.test["recall"] == 0.5 and scores.test["precision"] == 1  # the test box of 0.5 is under the threshold
        assert json.loads((Path(place) / "metrics/08_detection.json").read_text())["metrics"]["f1"] == scores.test["f1"]
        assert len(pd.read_csv(Path(place) / "predictions/08_detection.csv")) == 2
