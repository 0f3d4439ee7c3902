"""Tests of nbs/90_runner.ipynb, generated from its test cells. Edit the notebook, then run `make export`."""

import argparse
import json
import os
import shutil
import tempfile
from pathlib import Path

import pytest

from brain_mri.reports import project_root
from brain_mri.runner import (
    Node, RunError, cached_weights, checked, command, confirm_node, expected_minutes, fingerprint, finish_toy,
    folder_digest, hardware, missing_weights, parameters_of, publish, read_settings, replace_text, reseeded,
    resumable, state_of, toy_project, why_stale, write_notebook,
)
from brain_mri.weights import published


def test_undeclared_unread_and_mistyped_parameters_are_refused():
    with tempfile.TemporaryDirectory() as folder:
        notebook = write_notebook(Path(folder) / "n.ipynb", "epochs = 1\nrate = 0.1", "print(epochs, rate)")
        assert checked(notebook, {"epochs": 3, "rate": 1}) == {"epochs": 3, "rate": 1}
        with pytest.raises(RunError, match="declares no parameter 'epoch': it has epochs, rate"):
            checked(notebook, {"epoch": 3})
        with pytest.raises(RunError, match="expected epochs of n to be of type int.*got 'many'"):
            checked(notebook, {"epochs": "many"})
        unread = write_notebook(Path(folder) / "u.ipynb", "epochs = 1", "epochs = 2")
        with pytest.raises(RunError, match="nothing reads epochs"):
            checked(unread, {})


def test_numbers_in_lists_are_numbers_and_none_is_without_end():
    with tempfile.TemporaryDirectory() as folder:
        notebook = write_notebook(Path(folder) / "n.ipynb", "zoom = [1, 1.5]\nrate = 0.1\nside = None", "print(zoom, rate, side)")
        assert checked(notebook, {"zoom": ["8e-1", 2], "rate": "1e-3", "side": 3}) == {"zoom": [0.8, 2], "rate": 1e-3, "side": 3}
        for bad in (
            {"zoom": ["wide"]},
            {"zoom": 2},
            {"zoom": [None]},
            {"rate": float("nan")},
            {"rate": "inf"},
            {"rate": True},
            {"rate": 10**400},
        ):
            with pytest.raises(RunError, match="expected .* of n to be of type"):
                checked(notebook, bad)


def test_a_touched_file_keeps_its_hash_and_a_changed_one_does_not():
    with tempfile.TemporaryDirectory() as folder:
        data, cache = Path(folder) / "data", Path(folder) / "cache.json"
        data.mkdir()
        (data / "a").write_text("one")
        before = folder_digest(data, cache)
        os.utime(data / "a", (1, 1))
        assert folder_digest(data, cache) == before
        for name in ("b", "c"):
            (data / name).symlink_to(data)
        assert folder_digest(data, cache) == before, "links in a circle end, and are nothing new"
        written = cache.stat().st_ino
        assert folder_digest(data, cache) == before and cache.stat().st_ino == written, "nothing changed, nothing is written"
        (data / "a").write_text("two")
        assert folder_digest(data, cache) != before
        with pytest.raises(RunError, match="is not a folder"):
            folder_digest(Path(folder) / "none", cache)


def test_a_kill_while_publishing_is_made_good_by_the_next_start():
    with tempfile.TemporaryDirectory() as folder:
        node = toy_project(Path(folder))
        finish_toy(node, "old")
        publish(node)
        assert why_stale(node) == []
        finish_toy(node, "newer")
        node.stamp_file.unlink()  # killed after the first steps of publish: no stamp, work already moved
        shutil.rmtree(node.work)
        os.replace(node.ready / "work", node.work)
        assert why_stale(node) == ["never run here"]
        publish(node)
        assert why_stale(node) == [] and not node.ready.exists()
        assert {f.read_text() for f in (node.reports / "metrics" / "10_toy.json", node.work / "weights.txt")} == {"newer"}


def test_freshness_follows_code_parameters_and_files_but_not_prose_or_times():
    with tempfile.TemporaryDirectory() as folder:
        node = toy_project(Path(folder))
        finish_toy(node, "x")
        publish(node)
        os.utime(node.notebook, (1, 1))
        content = json.loads(node.notebook.read_text())
        content["cells"].insert(0, {"cell_type": "markdown", "id": "m", "metadata": {}, "source": "Prose."})
        node.notebook.write_text(json.dumps(content))
        assert why_stale(node) == []
        assert why_stale(Node("10_toy", "smoke", Path(folder), reports=Path(folder) / "new")) == ["its results are in another folder"]
        (Path(folder) / "runs").rename(Path(folder) / "moved")
        (Path(folder) / "runs").symlink_to("moved")
        assert why_stale(Node("10_toy", "smoke", Path(folder), runs=Path(folder) / "moved" / "smoke")) == []
        node.settings = ["10_toy.epochs=2"]
        assert why_stale(node) == ["parameters changed"]
        node.settings = []
        (node.work / "weights.txt").unlink()
        assert "1 result files missing" in why_stale(node)[0]
        write_notebook(node.notebook, "epochs = 1", "print(epochs + 1)")
        assert why_stale(node)[0] == "code changed"


def test_metrics_name_the_threads_where_they_were_set():
    with pytest.MonkeyPatch.context() as patch_:
        patch_.setenv("OMP_NUM_THREADS", "3")
        assert ", OMP_NUM_THREADS=3" in hardware()
        patch_.delenv("OMP_NUM_THREADS")
        assert "OMP_NUM_THREADS" not in hardware()


def test_checkpoints_survive_a_kill_and_go_when_something_changed():
    with tempfile.TemporaryDirectory() as folder:
        node = toy_project(Path(folder))
        (resumable(node, {"code": "a"}) / "last.ckpt").touch()
        assert (resumable(node, {"code": "a"}) / "last.ckpt").is_file()
        assert not (resumable(node, {"code": "b"}) / "last.ckpt").exists() and len(list(node.checkpoints.iterdir())) == 1


def test_status_tells_the_four_states_apart_and_knows_minutes():
    with tempfile.TemporaryDirectory() as folder:
        node = toy_project(Path(folder))
        assert state_of(node, []) == "fresh" and state_of(node, ["never run here"]) == "missing" and expected_minutes(node) is None
        finish_toy(node, '{"provenance": {"wall_seconds": 90}}')
        publish(node)
        assert state_of(node, ["code changed"]) == "stale" and expected_minutes(node) == 1.5
        replace_text(node.failed, "no luck")
        assert state_of(node, ["code changed"]) == "failed"


def test_a_launched_job_without_a_result_has_failed():
    with tempfile.TemporaryDirectory() as folder:
        node = toy_project(Path(folder))
        with pytest.raises(RunError, match="expected a result after LAUNCH, got none .never run here.: the job was killed"):
            confirm_node(node)
        finish_toy(node, "{}")
        publish(node)
        assert confirm_node(node) == 0
        replace_text(node.failed, "no luck")
        assert confirm_node(node) == 1


def test_a_file_of_settings_is_laid_over_a_profile():
    with tempfile.TemporaryDirectory() as folder:
        node = toy_project(Path(folder))
        over_ = Path(folder) / "over.yaml"
        over_.write_text("10_toy:\n  epochs: 3  # more\n")
        node.settings = read_settings(over_)
        assert node.settings == ["10_toy.epochs=3"] and parameters_of(node) == {"epochs": 3}
        for text_ in ("10_toy: [1]", "[", "10_toy: 3", ""):
            over_.write_text(text_)
            with pytest.raises(argparse.ArgumentTypeError, match="expected parameters, notebook by notebook, in .*over.yaml, got"):
                read_settings(over_)


def test_each_seed_is_a_run_of_its_own_that_the_tables_wait_for():
    with tempfile.TemporaryDirectory() as folder:
        node = toy_project(Path(folder))
        models_ = ("10_yolov8", "30_inceptionv3")
        (Path(folder) / "nbs" / "graph.mk").write_text("".join(f"{name}:\n" for name in (*models_, "50_tables")))
        for name in models_:
            write_notebook(Path(folder) / "nbs" / f"{name}.ipynb", "seed = 0", "print(seed)")
        write_notebook(Path(folder) / "nbs" / "50_tables.ipynb", "seeds = []", "print(seeds)")
        node = Node("50_tables", "smoke", Path(folder), ["50_tables.seeds=[1]"])
        second = reseeded(node, "10_yolov8", 1)
        assert parameters_of(second) == {"seed": 1} and parameters_of(node.sibling("10_yolov8")) == {"seed": 0}
        assert second.reports == node.reports / "seeds" / "1" and second.runs == node.runs / "seeds" / "1"
        replace_text(node.stamp_file, json.dumps({"fingerprint": fingerprint(node), "result": "r", "files": {}}))
        assert "10_yolov8 with seed 1 missing" in why_stale(node)
        for name in models_:
            other = reseeded(node, name, 1)
            replace_text(other.stamp_file, json.dumps({"fingerprint": fingerprint(other), "result": "r", "files": {}}))
        assert "10_yolov8 with seed 1 changed" in why_stale(node)
        replace_text(node.stamp_file, json.dumps({"fingerprint": fingerprint(node), "result": "r", "files": {}}))
        assert why_stale(node) == []
        write_notebook(second.notebook, "seed = 0", "print(seed + 1)")
        assert "10_yolov8 with seed 1 missing" in why_stale(node), "a result of older code"
        assert command(node) == 'make 50_tables PROFILE=smoke SEEDS="1"'


def test_settings_and_profiles_are_checked_before_anything_runs():
    with tempfile.TemporaryDirectory() as folder:
        node = toy_project(Path(folder))
        for settings, message in {
            "10_toy.rate=1": "declares no parameter 'rate'",
            "11_toy.epochs=1": "not in nbs/graph.mk",
            "epochs": "form notebook.name=value",
        }.items():
            node.settings = [settings]
            with pytest.raises(RunError, match=message):
                parameters_of(node)
        with pytest.raises(RunError, match="expected a profile out of smoke, got 'huge'"):
            parameters_of(Node("10_toy", "huge", Path(folder)))
        with pytest.raises(RunError, match="always uses the embedded phantoms"):
            parameters_of(Node("10_toy", "smoke", Path(folder), data=Path(folder)))
        (Path(folder) / "nbs" / "profiles" / "smoke.yaml").write_text("parameters: [")
        with pytest.raises(RunError, match="expected the keys data and parameters"):
            parameters_of(Node("10_toy", "smoke", Path(folder)))


def test_a_missing_weight_file_is_one_line_before_anything_runs():
    root_ = project_root()
    with tempfile.TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as patch_:
        patch_.setenv("BRAIN_MRI_WEIGHTS", folder)
        node = Node("12_retinanet", "paper", root_)
        with pytest.raises(RunError, match=r"expected retinanet\S* \(153 MB\) for 12_retinanet .*: run make weights PROFILE=paper") as caught:
            cached_weights(node, parameters_of(node))
        assert "\n" not in str(caught.value)
        lines_ = missing_weights(node, ["00_data", "12_retinanet", "33_vgg16"])
        assert [line_.split(":")[0] for line_ in lines_] == ["12_retinanet", "33_vgg16"]
        assert missing_weights(Node("12_retinanet", "demo", root_), ["12_retinanet"]) == []
        assert "file weights_file" not in fingerprint(node)
        file_ = published(node.name, parameters_of(node))
        (Path(folder) / file_.name).touch()
        os.truncate(Path(folder) / file_.name, file_.size)
        before_ = fingerprint(node)["file weights_file"]
        os.utime(Path(folder) / file_.name, (1, 1))  # another file in its place
        assert fingerprint(node)["file weights_file"] != before_
