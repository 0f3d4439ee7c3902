"""Tests of nbs/61_paper_audit.ipynb, generated from its test cells. Edit the notebook, then run `make export`."""

import json
import tempfile
from fnmatch import fnmatch
from itertools import product
from pathlib import Path

import numpy as np
import pandas as pd

from brain_mri.paper_audit import (
    ABLATION, EPSILON, Fit, HALF, LEDGER_COLUMNS, LEFT_OPEN, average_bound, average_scores, definition_reading,
    f1_interval, f1_table, fit_average, fit_boxes, fit_micro, fit_status, fit_tumour, fitting_counts, implied_share,
    invented_run, ledger, ledger_page, ledger_row, ledger_summary, left_open, overlap, profile_values, totals_table,
    whole_counts,
)
from brain_mri.reports import Run, project_root
from brain_mri.runner import declared_parameters, read_graph, write_notebook
from brain_mri.tables import PAPER


def test_totals_are_added_from_the_cells():
    table_ = totals_table()
    assert table_.added.tolist() == [5249, 7023, 5712, 1311] and table_.follows.all()


def test_an_f1_from_rounded_values_by_hand():
    assert np.allclose(f1_interval(50, 50, half=1), (49, 51))
    low_, high_ = f1_interval(89.12, 78.69)
    assert low_ < 83.58 < high_ and high_ - low_ < 0.011


def test_the_one_row_that_does_not_follow():
    table_ = f1_table().set_index("model")
    assert table_.index[~table_.follows].tolist() == ["InceptionV3"] == table_.index[~table_.mean_of_classes_possible].tolist()
    assert np.isclose(table_.off["InceptionV3"], 0.44, atol=0.01) and overlap(82.58, 82.584, 82.58) and not overlap(82.59, 82.6, 82.58)


def test_whole_counts_by_hand():
    assert whole_counts(33.33, 3) == [1] and whole_counts(33.34, 3) == [] and whole_counts(50, 4, half=30) == [1, 2, 3]


def test_the_share_is_recovered_from_counts():
    tp_, fp_, fn_, tn_ = 60, 7, 9, 30
    low_, high_ = implied_share(100 * (tp_ + tn_) / 106, 100 * tp_ / (tp_ + fp_), 100 * tp_ / (tp_ + fn_))
    assert low_ < 100 * (tp_ + fn_) / 106 < high_ and high_ - low_ < 0.2


def test_planted_counts_are_found():
    sizes_ = (30, 20, 25, 15)  # 65 tumours
    planted_ = [100 * (60 + 21) / 90, 100 * 60 / 64, 100 * 60 / 65]
    fit_ = fit_tumour(np.round(planted_, 2), sizes_)
    assert fit_.found <= HALF and fit_.counts == {"TP": 60, "FP": 4, "FN": 5, "TN": 21}
    boxes_ = fit_boxes((100 * 80 / 90, 100 * 50 / 70, 100 * 50 / 65), sizes_)
    assert boxes_.found < EPSILON and boxes_.counts == {"TP": 50, "FP": 20, "FN": 15, "wrong_scans": 10}
    assert fit_boxes((100, 100, 100 * 50 / 65), sizes_).found > 5  # 15 scans without any box are 15 wrong ones
    assert fit_micro((80, 90, 85), (5, 5, 5, 5)).found == 5


def test_no_confusion_matrix_beats_the_bound():
    rng_ = np.random.default_rng(0)
    for sizes_, part_ in (((30, 20, 25, 15), 1.0), ((5, 40, 9, 12), 0.5), ((10, 10, 10, 10), 1.0)):
        for weights_ in (np.full(4, 0.25), np.array(sizes_) / sum(sizes_)):
            for spread_ in rng_.uniform(0.01, 3, 60):
                matrix_ = np.stack([rng_.multinomial(n_, rng_.dirichlet(np.full(4, spread_))) for n_ in sizes_])
                assert average_bound(average_scores(matrix_, weights_, part_), sizes_, weights_, part_) < EPSILON


def test_extreme_matrices_do_not_beat_the_bound_either():
    for sizes_ in ((6, 4, 5, 3), (2, 9, 2, 2)):
        for answers_ in product(range(4), repeat=4):  # every class is called one thing
            matrix_ = np.zeros((4, 4), int)
            matrix_[range(4), answers_] = sizes_
            for k_ in range(4):
                mixed_ = matrix_.copy()
                mixed_[k_] = np.bincount([k_] * (sizes_[k_] - 1) + [answers_[k_]], minlength=4)
                for weights_ in (np.full(4, 0.25), np.array(sizes_) / sum(sizes_)):
                    assert average_bound(average_scores(mixed_, weights_), sizes_, weights_) < EPSILON


def test_the_search_finds_what_was_planted_and_says_what_it_found():
    sizes_, weights_ = (30, 20, 25, 15), np.full(4, 0.25)
    planted_ = np.array([[27, 1, 2, 0], [0, 18, 2, 0], [3, 0, 22, 0], [0, 0, 1, 14]])
    fit_ = fit_average(average_scores(planted_, weights_), sizes_)
    assert fit_.found < 0.05 and fit_.bound < EPSILON and np.array(fit_.counts).sum(1).tolist() == list(sizes_)
    row_ = (90, 99, 70)  # far from anything possible
    fit_ = fit_average(row_, sizes_, attempts=2)
    assert 0 < fit_.bound <= fit_.found and np.isclose(fit_.found, np.abs(average_scores(np.array(fit_.counts), weights_) - row_).max())


def test_statuses_and_the_reading():
    assert [fit_status(Fit(f, b, []), 0.2) for f, b in ((0.004, 0), (0.1, 0.05), (0.3, 0.25), (0.3, 0.1))] == [
        "feasible",
        "near",
        "impossible",
        "open",
    ]
    rows_ = [("table3", "a", "micro", 0, 0, "feasible", ""), ("table3", "b", "micro", 1, 1, "impossible", "")]
    table_ = pd.DataFrame(rows_, columns=["table", "model", "definition", "found", "bound", "status", "counts"])
    assert definition_reading(table_) == (
        'Table 3: "micro" comes near to a. Rows whose printed digits whole numbers give: a (micro). No definition comes near to all 2 rows.'
    )
    assert definition_reading(table_[:1]).endswith("All rows: micro.")


def test_the_rules_of_the_ledger_one_by_one():
    made_ = dict(notebook="10_yolov8", dataset="real", weights="pretrained", provenance={"commit": "c", "data_fingerprint": "f"})
    verdict_ = lambda paper, **change: ledger_row(("table3", "YOLOv8", "f1"), paper, 80.0, (75.0, 85.0), [made_ | change])["verdict"]
    assert verdict_(84.0) == verdict_(85.0) == "agrees" and verdict_(85.1) == "differs"
    assert verdict_(84.0, dataset="phantoms") == verdict_(84.0, weights="scratch") == "cannot be compared"
    row_ = ledger_row(("table3", "YOLOv8", "f1"), 84.0, 80.0, (75.0, 85.0), [made_ | {"dataset": "phantoms"}])
    assert (row_["ours"], row_["low"], row_["difference"], row_["why"]) == (80.0, 75.0, -4.0, "data: phantoms, not the paper's scans")
    assert (row_["notebook"], row_["commit"], row_["data_fingerprint"]) == ("10_yolov8", "c", "f") and list(row_) == LEDGER_COLUMNS
    part_ = ledger_row(("table3", "YOLOv8", "f1"), 84.0, 80.0, (75.0, 85.0), [made_], limit=300)
    assert part_["verdict"] == "cannot be compared" and part_["why"].startswith("data: at most 300")
    missing_ = ledger_row(("table3", "YOLOv8", "f1"), 84.0)
    assert missing_["verdict"] == "not run" and missing_["notebook"] == "" and missing_["difference"] is None


def test_an_empty_folder_gives_a_ledger_of_what_has_not_run():
    with tempfile.TemporaryDirectory() as folder:
        run_ = Run("61_paper_audit")
        run_.reports = Path(folder)
        frame_ = ledger(run_)
        assert len(frame_) == 62 and frame_.groupby("table").size().to_dict() == {
            "table1": 8,
            "table2": 8,
            "table3": 16,
            "table4": 24,
            "claims": 6,
        }
        assert (frame_.verdict == "not run").all() and frame_.ours.isna().all() and list(frame_.columns) == LEDGER_COLUMNS
        assert ledger_summary(frame_)[1].endswith("0 agree, 0 differ, 0 cannot be compared, 62 have not run.")
        assert "# The ledger" in ledger_page(frame_)


def test_scores_that_were_not_measured_have_not_run():
    with tempfile.TemporaryDirectory() as folder:
        run_ = invented_run(Run("61_paper_audit"), Path(folder))
        for file_ in (run_.reports / "metrics").glob("1*.json"):
            content_ = json.loads(file_.read_text())
            file_.write_text(json.dumps(content_ | {"metrics": content_["metrics"] | {"f1": None}, "ci95": {}}))
        frame_ = ledger(run_).set_index(["table", "column"]).verdict
        assert (frame_["table3"]["f1"] == "not run").all() and (frame_["claims"] == "not run").all()
        assert (frame_["table3"]["recall"] == "cannot be compared").all()  # without an interval nothing agrees or differs


def test_on_real_scans_with_published_weights_cells_agree_or_differ():
    with tempfile.TemporaryDirectory() as folder:
        frame_ = ledger(invented_run(Run("61_paper_audit"), Path(folder), metrics={"YOLOv8": {"recall": 0.7}}))
        counts_, text_ = ledger_summary(frame_)
        assert counts_.loc["table1"].tolist() == counts_.loc["table2"].tolist() == [8, 0, 0, 0]
        assert counts_.loc["table3"].tolist() == [15, 1, 0, 0] and counts_.loc["table4"].tolist() == [24, 0, 0, 0]
        assert frame_[frame_.verdict == "differs"].row.tolist() == ["YOLOv8"] and frame_.commit[0] == "c" and frame_.data_fingerprint[0] == "f"
        claims_ = frame_[frame_.table == "claims"].set_index("row").verdict
        assert (claims_.iloc[:4] == "agrees").all() and (claims_.iloc[4:] == "not run").all()
        assert "does not follow" in frame_.why[(frame_.row == "InceptionV3") & (frame_.column == "f1")].item()


def test_a_count_that_is_not_equal_differs():
    with tempfile.TemporaryDirectory() as folder:
        run_ = invented_run(Run("61_paper_audit"), Path(folder))
        table_ = pd.read_csv(run_.reports / "tables" / "table2.csv")
        table_.loc[0, "counted"] -= 1
        run_.save_table(table_, "table2")
        frame_ = ledger(run_)
        assert frame_[frame_.verdict == "differs"][["table", "row", "column", "difference"]].values.tolist() == [
            ["table2", "Glioma", "train", -1]
        ]


def test_other_data_or_weights_cannot_be_compared():
    for change_, reason_ in (({"data": "phantoms"}, "data"), ({"limit": 30}, "data"), ({"weights": "scratch"}, "weights")):
        with tempfile.TemporaryDirectory() as folder:
            frame_ = ledger(invented_run(Run("61_paper_audit"), Path(folder), **change_))
            cells_ = frame_[frame_.table.isin(PAPER)]
            assert (cells_.verdict == "cannot be compared").all() and cells_.why.str.startswith(reason_).all() and cells_.ours.notna().all()
            assert (frame_.verdict[frame_.table == "claims"].iloc[:4] == "cannot be compared").all()
            counts_ = frame_[frame_.table == "table1"].verdict.unique().tolist()
            assert counts_ == (["cannot be compared"] if change_ == {"data": "phantoms"} else ["agrees"])


def test_claims_can_fail_or_be_open():
    claim_ = lambda run, name: ledger(run).set_index("row").loc[name]
    with tempfile.TemporaryDirectory() as folder:
        changed_ = {"RetinaNet": {"f1": 0.9}, "VGG16": {"accuracy": 0.9}, "EfficientDet": {"f1": 0.7}}
        run_ = invented_run(Run("61_paper_audit"), Path(folder), metrics=changed_)
        first_ = claim_(run_, "YOLOv8 is the best detector")
        assert first_.verdict == "differs" and np.isclose(first_.ours, 83.58 - 90) and "is behind RetinaNet" in first_.why
        assert claim_(run_, "the detectors are very close").verdict == claim_(run_, "every classifier is above 90 %").verdict == "differs"
        (run_.reports / "tables" / "classifier_differences.csv").unlink()
        assert "no paired interval" in claim_(run_, "CoCa is the best classifier").why
        next(iter((run_.reports / "metrics").glob("19_*"))).unlink()  # CoCa
        last_ = claim_(run_, "every classifier is above 90 %")
        assert last_.verdict == "not run" and "needs CoCa; of 5 so far VGG16 is lowest with 90.0 %" in last_.why
        run_.notebook, common_ = "20_sam", dict(weights="pretrained", dataset="real", seed=0, n_train=0, n_test=1)
        run_.save_metrics("segmenter", "SAM", metrics={"dice": 0.9, "dice_filled_box": 0.8}, ci95={"dice": (0.8, 0.95)}, **common_)
        sam_ = claim_(run_, "SAM has a very high accuracy")
        assert sam_.verdict == "cannot be compared" and sam_.why.startswith("definition: the paper gives") and sam_.low == 80
        run_.notebook = ABLATION[0]
        for low_, word_ in ((0.01, "agrees"), (-0.01, "differs")):
            run_.save_metrics("ablation", "x", metrics={ABLATION[1]: 0.02}, ci95={ABLATION[1]: (low_, 0.03)}, **common_)
            assert claim_(run_, "segmentation first helps").verdict == word_


def test_a_profile_is_laid_over_the_notebooks_defaults():
    with tempfile.TemporaryDirectory() as folder:
        root_ = Path(folder)
        for name_ in ("10_yolov8", "12_retinanet", "13_faster_rcnn"):
            write_notebook(root_ / "nbs" / f"{name_}.ipynb", "epochs = 2\ndevice = 'cpu'", "print(epochs, device)")
        (root_ / "nbs" / "graph.mk").write_text("10_yolov8:\n12_retinanet:\n13_faster_rcnn:\n30_inceptionv3:\n")
        (root_ / "nbs" / "profiles").mkdir()
        (root_ / "nbs" / "profiles" / "smoke.yaml").write_text("data: phantoms\nparameters: {}\n")
        (root_ / "nbs" / "profiles" / "paper.yaml").write_text("data: real\nparameters:\n  12_retinanet: {epochs: 50}\n")
        table_ = left_open(profile_values(root_))
    assert table_.values.tolist() == [
        ["epochs", "epochs", "10_yolov8, 13_faster_rcnn", "2", "2"],
        ["epochs", "epochs", "12_retinanet", "50", "2"],
    ]


def test_every_pattern_of_the_open_questions_names_a_parameter():
    files_ = {name: project_root() / "nbs" / f"{name}.ipynb" for name in read_graph(project_root())}
    values_ = {name: declared_parameters(file) for name, file in files_.items() if file.is_file()}
    names_ = [f"{notebook}.{name}" for notebook in values_ for name in values_[notebook]]
    there_ = lambda pattern: any(fnmatch(f"{notebook}.", pattern.split(".")[0] + ".") for notebook in values_)  # a notebook that exists
    idle_ = [q for q, patterns in LEFT_OPEN.items() if any(map(there_, patterns)) and not any(fnmatch(n, p) for n in names_ for p in patterns)]
    assert idle_ == []


def test_fitting_counts_by_hand():
    assert fitting_counts(80, 66.67, 6, 3) == [(4, 1)] and fitting_counts(66.67, 100, 4, 5) == [(4, 2)]
    assert fitting_counts(98.97, 96.5, 906, 405) == [] and fitting_counts(50, 0, 3, 3) == []
