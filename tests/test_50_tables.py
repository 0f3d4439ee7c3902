"""Tests of nbs/50_tables.ipynb, generated from its test cells. Edit the notebook, then run `make export`."""

import json
import tempfile
from pathlib import Path

import pandas as pd

from brain_mri.tables import (
    SCORES, gain_of_cutting, metric_lines, model_table, notebook_link, on_phantoms, reading, seed_metrics,
    short_table, warning, whole_pipeline, with_spread, without_twins,
)


def test_rows_follow_the_paper_and_keep_what_is_missing_missing():
    metrics = {"accuracy": 0.9, "precision": 0.8, "recall": None, "f1": 0.85, "map50": 0.7}
    common = {"ci95": {"f1": [0.8, 0.9]}, "dataset": "d", "weights": "scratch", "n_train": 1, "n_test": 2, "notebook": "n"}
    found = [{"model": model, "metrics": metrics, **common} for model in ("RetinaNet", "YOLOv8", "Other")]
    table = model_table("table3", found)
    assert table["model"].tolist() == ["YOLOv8", "RetinaNet"]
    assert table.loc[0, ["accuracy", "f1_low", "f1_high", "paper_f1", "map50"]].tolist() == [90.0, 80.0, 90.0, 83.58, 70.0]
    assert table["recall"].isna().all() and table["map50_95"].isna().all()


def test_mean_and_deviation_are_over_the_seeds_of_a_model():
    common = {"ci95": {}, "dataset": "d", "weights": "scratch", "n_train": 1, "n_test": 2, "notebook": "n", "kind": "detector"}
    one = lambda seed, f1: common | {"model": "YOLOv8", "seed": seed, "metrics": dict.fromkeys(SCORES, None) | {"f1": f1}}
    with tempfile.TemporaryDirectory() as folder:
        for seed_, f1 in ((1, 0.7), (2, 0.9)):
            file = Path(folder) / "seeds" / str(seed_) / "metrics" / "10_yolov8.json"
            file.parent.mkdir(parents=True)
            file.write_text(json.dumps(one(seed_, f1)))
        others = seed_metrics(Path(folder), [1, 2, 3], "detector")
    assert [m["seed"] for m in others] == [1, 2] and not seed_metrics(Path("nowhere"), [], "detector")
    row = with_spread(model_table("table3", [one(0, 0.8)]), [one(0, 0.8), *others, one(0, 0.8)]).iloc[0]
    assert row[["f1_mean", "f1_sd", "seeds"]].tolist() == [80, 10, 3] and pd.isna(row["recall_mean"])
    alone = with_spread(model_table("table3", [one(0, 0.8)]), [one(0, 0.8)])
    assert alone.f1_mean.item() == 80 and alone.f1_sd.isna().item() and alone.seeds.item() == 1
    assert with_spread(pd.DataFrame(), []).empty


def test_seeds_are_shown_when_there_are_several():
    common = {"ci95": {"f1": [0.6, 0.9]}, "dataset": "d", "weights": "scratch", "n_train": 1, "n_test": 2, "notebook": "n"}
    runs_ = [common | {"model": "YOLOv8", "seed": seed_, "metrics": {"f1": f1_}} for seed_, f1_ in ((0, 0.8), (1, 0.7), (2, 0.9))]
    table = model_table("table3", runs_[:1])
    assert "| 80.0 ± 10.0 (3)" in short_table(with_spread(table, runs_)) and "±" not in short_table(with_spread(table, runs_[:1]))


def test_reading_says_how_much_a_seed_matters():
    common = {"ci95": {"f1": [0.6, 0.9]}, "dataset": "d", "weights": "scratch", "n_train": 1, "n_test": 2, "notebook": "n"}
    runs_ = [common | {"model": "YOLOv8", "seed": seed_, "metrics": {"f1": f1_}} for seed_, f1_ in ((0, 0.8), (1, 0.7), (2, 0.9))]
    table = model_table("table3", runs_[:1])
    assert "standard deviation of F1 over up to 3 seeds: YOLOv8 10.0 points" in reading(with_spread(table, runs_), 4)
    assert "seeds" not in reading(with_spread(table, runs_[:1]), 4)


def test_the_reading_knows_leader_overlaps_and_the_papers_leader():
    table = pd.DataFrame({"model": ["a", "b"], "f1": [80.0, 90.0], "f1_low": [75.0, 86.0], "f1_high": [85.0, 95.0], "paper_f1": [83.0, 80.0]})
    assert reading(table, 4) == (
        "2 of 4 models have run. b leads with an F1 of 90.0 % [86.0, 95.0], followed by a with 80.0 % [75.0, 85.0]. "
        "No other interval overlaps with the leader's. Of these, the paper has a in front (83.00 %); here it is number 2."
    )
    table["f1_high"] = 95.0
    assert "The leader's interval overlaps with that of a." in reading(table, 4)
    assert reading(table[:1], 4).startswith("1 of 4 models have run. a leads with an F1 of 80.0 % [75.0, 95.0]. Of these")
    assert reading(table.iloc[:0], 6) == "None of the 6 models has run yet."


def test_numbers_are_folded_and_names_stay_text():
    metrics_ = {"model": "sAM <b>", "notebook": "20_sam", "metrics": {"dice": 0.92951, "iou": None}, "ci95": {"dice": [0.9, 0.95]}}
    lines_ = metric_lines(metrics_).splitlines()
    assert lines_[0] == "<details><summary>SAM &lt;b&gt; (20_sam): 2 numbers</summary>"
    assert lines_[2:] == ["- dice: 0.9295 [0.9, 0.95]", "- iou: not measured", "", "</details>"]


def test_real_scans_are_not_called_phantoms_and_not_shown():
    drawn_ = {"notebook": "01_phantom", "dataset": "phantoms, version 1", "weights": "none"}  # is there whatever the data
    for data_, told_ in (("brain-tumor-mri-dataset", False), ("phantoms", True)):
        found_ = [drawn_, {"notebook": "30_inceptionv3", "dataset": data_, "weights": "scratch"}]
        assert on_phantoms(found_) == told_ and ("Measured on phantoms" in warning(found_)) == told_
        assert ("../../nbs" in notebook_link("30_inceptionv3", found_)) != told_


def test_twins_are_told_with_numbers():
    table_ = pd.DataFrame({"model": ["a"], "f1": [90.0], "n_test": [100]})
    assert without_twins(table_, table_) == "No test image has a twin in training."
    assert without_twins(table_, table_[:0]) == "Scores without twins are not there."
    assert "to not measurable, a class is missing (3 of " in without_twins(table_, table_.assign(f1=float("nan"), n_test=3))
    said_ = without_twins(table_, table_.assign(f1=70.0, n_test=40))
    assert said_.endswith("F1 changes as follows: a 90.0 to 70.0 (40 of 100 images).")


def test_the_whole_pipeline_is_told_from_its_metrics_files():
    assert whole_pipeline([]) == ""
    scores_ = {name_: 0.9 for name_ in (*SCORES, "f1_binary")} | {"wrong": 3.0, "from_box": 2.0, "from_outline": 0.0, "from_name": 1.0}
    whole_ = {"notebook": "40_pipeline", "model": "all", "n_test": 30, "metrics": scores_, "ci95": {"f1": [0.85, 0.95]}}
    ablation_ = {
        "notebook": "62_ablation",
        "metrics": {"mask_minus_whole": 0.1, "f1_train_whole": 0.25},
        "ci95": {"mask_minus_whole": [-0.01, 0.2]},
    }
    speed_ = {
        "notebook": "63_benchmarks",
        "metrics": {"pipeline_over_naive": 3.0, "crop_batches_over_layers": None},
        "ci95": {"pipeline_over_naive": [2.5, 4]},
    }
    said_ = whole_pipeline([whole_, ablation_, speed_])
    assert "| 90.0 [85.0, 95.0] |" in said_ and "Of 30 scans 3 are named wrongly: 2 because of the box, 0 because of the outline, 1 by" in said_
    assert (
        "gains +10.0 [-1.0, +20.0] points of accuracy. It hardly learnt whole scans, though: on its own training scans its F1 is 0.25." in said_
        and "- 3.0 [2.5, 4.0] times: scans a second" in said_
        and "layers" not in said_
    )
    real_ = whole_ | {"metrics": {name: value for name, value in whole_["metrics"].items() if name != "wrong"}}
    three_ = {"metrics": ablation_["metrics"] | {"mask_minus_whole_three": -0.012}}
    assert "points of accuracy, on the three kinds of tumour alone -1.2." in gain_of_cutting(ablation_ | three_)
    assert "named wrongly" in said_ and "named wrongly" not in whole_pipeline([real_])
