"""Tests of nbs/40_pipeline.ipynb, generated from its test cells. Edit the notebook, then run `make export`."""

import numpy as np

from brain_mri.pipeline import Pipeline


def test_stages_pass_on_what_they_found_and_a_missed_lesion_goes_in_whole():
    class Finder:
        threshold = 0.5

        def predict(self, scans):
            return [(np.float32([[8, 8, 24, 24]]), np.float32([scan.max() / 255])) for scan in scans]


    class Outliner:
        def embed(self, images):
            return images

        def ask(self, embedding, boxes):
            return np.ones((len(boxes), 32, 32), bool), np.ones(len(boxes))


    class Namer:
        card = {"input": "box", "margin": 0.0, "image_size": 16}

        def predict(self, crops):
            return np.eye(4, dtype=np.float32)[[int(crop.mean() > 127) for crop in crops]]


    pipeline = Pipeline.__new__(Pipeline)
    pipeline.detector, pipeline.segmenter, pipeline.classifier = Finder(), Outliner(), Namer()
    pipeline.size, pipeline.median, pipeline.seconds = 32, 1, {"detect and outline": 0.0, "classify": 0.0}
    bright, dark = np.full((64, 64), 255, np.uint8), np.full((32, 48), 10, np.uint8)
    first, second = pipeline([bright, dark])
    assert first.label == "meningioma" and first.box.tolist() == [4, 4, 12, 12] and first.mask.any()
    assert second.label == "glioma" and second.box is None and second.score == 0 and not second.mask.any()
    assert second.crop.shape == (16, 16)
