"""Tests of nbs/92_weights.ipynb, generated from its test cells. Edit the notebook, then run `make export`."""

import ast
import contextlib
import fcntl
import hashlib
import io
import re
import subprocess
import sys
import tempfile
from importlib.util import find_spec
from pathlib import Path

import pytest

import brain_mri
from brain_mri.data import DataError
from brain_mri.runner import declared_parameters
from brain_mri.weights import (
    FILES, NEEDS, fault, fetch, file_parameter, local_server, main, needed_files, published, toy_file,
    weights_folder, with_published,
)


def test_one_flipped_bit_is_found_at_the_same_size():
    with tempfile.TemporaryDirectory() as folder_:
        path_ = Path(folder_) / "toy.pth"
        path_.write_bytes(b"weights")
        assert fault(toy_file(b"weights"), path_) == ""
        path_.write_bytes(b"weighus")
        assert re.match("expected SHA-256 .* got ", fault(toy_file(b"weights"), path_))
        assert re.match("expected MD5 .* got ", fault(toy_file(b"weights", sha256=""), path_))


def test_a_broken_download_goes_on_where_it_stopped():
    content_ = bytes(range(256)) * 4000
    with tempfile.TemporaryDirectory() as folder_, local_server({"toy.pth": content_}, cuts=[300_000]) as (address_, starts_):
        toy_ = toy_file(content_, f"{address_}/toy.pth")
        with pytest.raises(DataError, match=r"^expected toy.pth from .*: 0.3 MB of 1.0 MB are kept, try again with a network$"):
            fetch(toy_, folder_)
        counted_ = []
        assert fetch(toy_, folder_, counted_.append).read_bytes() == content_
        assert starts_ == [0, counted_[0]] and 200_000 < counted_[0] <= 300_000 and sum(counted_) == len(content_)
        assert [p.name for p in Path(folder_).iterdir()] == ["toy.pth"]


def test_a_damaged_download_is_deleted_and_never_gets_its_name():
    with tempfile.TemporaryDirectory() as folder_, local_server({"toy.pth": b"weighus"}) as (address_, starts_):
        for change_, message_ in (({}, "expected SHA-256"), ({"sha256": ""}, "expected MD5"), ({"size": 9}, "expected 9 bytes, got 7")):
            with pytest.raises(DataError, match=f"^damaged download of toy.pth from .*, {message_}.*: it was deleted, try again$"):
                fetch(toy_file(b"weights", f"{address_}/toy.pth", **change_), folder_)
            assert not list(Path(folder_).iterdir())
        assert starts_ == [0, 0, 0]


def test_a_server_without_ranges_starts_again_and_what_is_whole_is_not_sent_again():
    with tempfile.TemporaryDirectory() as folder_:
        part_ = Path(folder_) / "toy.pth.part"
        with local_server({"toy.pth": b"weights"}, ranges=False) as (address_, starts_):
            part_.write_bytes(b"wei")
            counted_ = []
            assert fetch(toy_file(b"weights", f"{address_}/toy.pth"), folder_, counted_.append).read_bytes() == b"weights"
            assert starts_ == [0] and counted_ == [3, -3, 7]
        beginning_ = hashlib.sha256(b"weights").hexdigest()[:8]
        with local_server({"toy.pth": b"weights"}) as (address_, starts_):
            part_.write_bytes(b"weights")  # whole, which only the server knows: it answers 416
            assert fetch(toy_file(b"weights", f"{address_}/toy.pth", size=None, sha256=beginning_, md5=""), folder_).is_file() and starts_ == []
        part_.write_bytes(b"weights")  # cut off between download and check; the server is gone by now
        assert fetch(toy_file(b"weights", f"{address_}/toy.pth"), folder_).read_bytes() == b"weights"


def test_no_server_no_file_and_no_room_are_one_line_each():
    with local_server({}) as (address_, _):
        with (
            tempfile.TemporaryDirectory() as folder_,
            pytest.raises(DataError, match="^expected toy.pth at .*, got HTTP status 404: try again later$"),
        ):
            fetch(toy_file(b"weights", f"{address_}/toy.pth"), folder_)
    with tempfile.TemporaryDirectory() as folder_, pytest.raises(DataError, match="got ConnectionError: 0.0 MB of 0.0 MB are kept, try again"):
        fetch(toy_file(b"weights", f"{address_}/toy.pth"), folder_)
    with tempfile.TemporaryDirectory() as folder_, local_server({"toy.pth": b"weights"}) as (address_, _):
        (Path(folder_) / "toy.pth.part").symlink_to("/dev/full")  # Linux' disk without room
        with pytest.raises(DataError, match="^expected to write 0.0 MB to .*toy.pth.part, got: No space left on device: make room"):
            fetch(toy_file(b"weights", f"{address_}/toy.pth"), folder_)
        with (
            (Path(folder_) / "other.part").open("ab") as held_,
            pytest.raises(DataError, match="another process is downloading .*other.part: wait for it"),
        ):
            fcntl.flock(held_, fcntl.LOCK_EX)
            fetch(toy_file(b"weights", f"{address_}/toy.pth", name="other"), folder_)
        (Path(folder_) / "file").touch()
        with pytest.raises(DataError, match="^expected to write 0.0 MB to .*, got: "):
            fetch(toy_file(b"weights", f"{address_}/toy.pth"), Path(folder_) / "file")


def test_the_runner_gets_this_module_without_any_large_library():
    code_ = "import sys, brain_mri.weights; print([m for m in ('torch', 'tensorflow', 'keras', 'open_clip', 'cv2', 'pandas', 'requests') if m in sys.modules])"
    assert subprocess.run([sys.executable, "-c", code_], capture_output=True, text=True, check=True).stdout.strip() == "[]"


def test_hashes_and_addresses_of_keras_are_those_of_its_source():
    folder_ = Path(find_spec("keras").submodule_search_locations[0]) / "src" / "applications"
    for file_ in (f for f in FILES.values() if f.source == "Keras"):
        stem_ = file_.url.split("/")[-2]
        tree_ = ast.parse((folder_ / f"{stem_}.py").read_text())
        plain_ = [n for n in tree_.body if isinstance(n, ast.Assign) and isinstance(n.value, (ast.Constant, ast.JoinedStr, ast.Dict))]
        exec(compile(ast.Module(plain_, []), stem_, "exec"), values_ := {})
        assert file_.url in values_.values() or file_.url == values_["BASE_WEIGHTS_PATH"] + file_.name
        if stem_ == "efficientnet_v2":
            assert file_.md5 == values_["WEIGHTS_HASHES"]["b3"][1]  # without top
        else:
            calls_ = [[k.value for k in ast.walk(n) if isinstance(k, ast.Constant)] for n in ast.walk(tree_) if isinstance(n, ast.Call)]
            assert [c for c in calls_ if file_.name in c and file_.md5 in c]


def test_addresses_sizes_and_hashes_are_those_of_the_torch_libraries():
    def source_(package, *path):
        return (Path(find_spec(package).submodule_search_locations[0]).joinpath(*path)).read_text()


    for module_ in ("retinanet", "faster_rcnn"):
        text_ = source_("torchvision", "models", "detection", f"{module_}.py")
        file_ = FILES[re.search(r'models/(\w+_resnet50_fpn_v2_coco-\w+\.pth)"', text_)[1]]
        megabytes_ = re.search(rf'"{re.escape(file_.url)}".*?"_file_size": ([\d.]+)', text_, re.DOTALL)[1]
        assert f"{file_.size / 2**20:.3f}" == megabytes_
    effdet_ = dict(re.findall(r"(\w+)=dict\(\s+name='\1'.*?url='(.*?)'", source_("effdet", "config", "model_config.py"), re.DOTALL))
    assert {f.url for f in FILES.values() if f.source == "effdet"} == {effdet_["efficientdet_d0"], effdet_["efficientdet_d1"]}
    for file_ in (f for f in FILES.values() if f.source in ("effdet", "torchvision")):
        assert file_.sha256.startswith(Path(file_.name).stem.split("-")[-1])
    assert re.search(r'release: str = "(.*?)"', source_("ultralytics", "utils", "downloads.py"))[1] in FILES["yolov8n.pt"].url
    clip_ = re.findall(r"laion2b_s13b_b90k=_pcfg\(hf_hub='laion/(CoCa-.*?)/'\)", source_("open_clip", "pretrained.py"))
    assert sorted(f"{repository}.bin" for repository in clip_) == sorted(f.name for f in FILES.values() if f.source == "LAION")
    assert 'HF_WEIGHTS_NAME = "open_clip_pytorch_model.bin"' in source_("open_clip", "constants.py")


def test_segment_anything_is_the_same_as_in_20_sam():
    tree_ = ast.parse((Path(brain_mri.__file__).parent / "sam.py").read_text())
    checkpoints_ = {n.targets[0].id: n.value for n in tree_.body if isinstance(n, ast.Assign) and isinstance(n.targets[0], ast.Name)}[
        "CHECKPOINTS"
    ]
    for architecture_, (name_, _, sha256_) in ast.literal_eval(checkpoints_).items():
        file_ = published("20_sam", {"weights": "pretrained", "architecture": architecture_, "checkpoint": ""})
        assert (file_.name, file_.sha256) == (name_, sha256_)


def test_every_notebook_with_pretrained_weights_gets_a_file_under_the_papers_profile():
    needed_ = needed_files("paper")
    assert sorted(n for notebooks in needed_.values() for n in notebooks) == sorted(NEEDS)
    assert needed_["CoCa-ViT-B-32-laion2B-s13B-b90k.bin"] == ["35_coca"] and needed_["sam_vit_b_01ec64.pth"] == ["20_sam"]
    assert needed_files("demo") == {}


def test_every_notebook_that_can_start_from_published_weights_is_known_here():
    root_ = Path(brain_mri.__file__).resolve().parent.parent / "nbs"
    able_ = {path.stem: names for path in root_.glob("[0-9]*.ipynb") if "weights" in (names := declared_parameters(path))}
    assert set(able_) == set(NEEDS)
    for notebook_, names_ in able_.items():
        assert file_parameter(notebook_) in names_ and {k for needs in NEEDS[notebook_].values() for k in needs} <= set(names_)
        assert published(notebook_, names_) is None  # from scratch, as by default


def test_a_file_of_the_readers_own_goes_first():
    for notebook_, key_ in (("10_yolov8", "weights_file"), ("20_sam", "checkpoint"), ("30_inceptionv3", "weights_file")):
        mine_ = {"weights": "pretrained", key_: "mine/some.pth"}
        assert published(notebook_, mine_) is None and with_published(notebook_, mine_) is mine_
    assert (
        published("20_sam", {"weights": "finetuned", "checkpoint": "sam_vit_b_01ec64.pth", "sha256": "ab"}) is None
    )  # one's own under Meta's name
    assert published("20_sam", {"weights": "finetuned", "checkpoint": "sam_vit_b_01ec64.pth", "sha256": ""}) == FILES["sam_vit_b_01ec64.pth"]


def test_published_weights_that_do_not_fit_are_refused_with_the_mend():
    with pytest.raises(
        ValueError,
        match="^expected parameters of 12_retinanet that fit published weights, .'backbone': .'resnet50'.*, got .'backbone': 'resnet10'.*: correct them",
    ):
        published(
            "12_retinanet", {"weights": "pretrained", "backbone": "resnet10", "weights_file": "retinanet_resnet50_fpn_v2_coco-5905b1c5.pth"}
        )
    with pytest.raises(ValueError, match="efficientdet_d0'.* or .*efficientdet_d1'.*got .'variant': 'efficientdet_d2'"):
        published("11_efficientdet", {"weights": "pretrained", "variant": "efficientdet_d2"})
    with pytest.raises(ValueError, match="expected parameters of 35_coca .*got .'architecture': 'small'"):
        published("35_coca", {"weights": "pretrained", "architecture": "small"})
    with pytest.raises(ValueError, match="of 00_data that fit published weights, of which none are known, got .'weights': 'pretrained'"):
        published("00_data", {"weights": "pretrained"})


def test_a_missing_or_cut_file_is_one_line_with_name_size_and_command():
    start_ = {"weights": "pretrained", "weights_file": "yolov8n.pt", "seed": 0}
    with tempfile.TemporaryDirectory() as folder_:
        for found_, make_ in (("missing", lambda p: None), ("of a wrong size", lambda p: p.write_bytes(b"half"))):
            make_(Path(folder_) / "yolov8n.pt")
            with pytest.raises(FileNotFoundError) as caught_:
                with_published("10_yolov8", start_, folder_, "mine")
            line_ = f"expected yolov8n.pt (6.5 MB) for 10_yolov8 in {folder_}, found it {found_}: run make weights PROFILE=mine"
            assert str(caught_.value) == line_


def test_a_notebook_is_handed_the_path_of_its_file_and_segment_anything_metas_name():
    with tempfile.TemporaryDirectory() as folder_:
        for notebook_, name_ in (
            ("10_yolov8", "yolov8n.pt"),
            ("20_sam", "sam_vit_b_01ec64.pth"),
            ("33_vgg16", "vgg16_weights_tf_dim_ordering_tf_kernels_notop.h5"),
        ):
            path_ = Path(folder_) / name_
            with path_.open("wb") as content_:
                content_.truncate(FILES[name_].size)  # a file with a hole takes no room
            key_ = file_parameter(notebook_)
            assert with_published(notebook_, {"weights": "pretrained", key_: "", "seed": 0}, folder_) == {
                "weights": "pretrained",
                key_: str(path_),
                "seed": 0,
            }


def test_the_cache_is_where_the_reader_says():
    with pytest.MonkeyPatch.context() as patch_:
        patch_.setenv("BRAIN_MRI_WEIGHTS", "/weights")
        patch_.setenv("XDG_CACHE_HOME", "/caches")
        assert weights_folder() == Path("/weights")
        patch_.setenv("BRAIN_MRI_WEIGHTS", "")
        assert weights_folder() == Path("/caches/brain-mri")
        patch_.delenv("XDG_CACHE_HOME")
        patch_.setenv("HOME", "/reader")
        assert weights_folder() == Path("/reader/.cache/brain-mri")


def test_the_command_fetches_mends_and_fails_in_one_line_a_file():
    files_, out_, err_ = {}, io.StringIO(), io.StringIO()
    with (
        local_server({"toy.pth": b"weights"}) as (address_, starts_),
        tempfile.TemporaryDirectory() as folder_,
        pytest.MonkeyPatch.context() as patch_,
    ):
        toy_ = toy_file(b"weights", f"{address_}/toy.pth")
        for name_ in ("yolov8n.pt", "sam_vit_b_01ec64.pth"):
            patch_.setitem(FILES, name_, toy_._replace(name=name_, size=7 if name_ == "yolov8n.pt" else 9))
        options_ = ["--profile", "paper", "--folder", folder_]
        patch_.setitem(needed_files.__globals__, "NEEDS", {k: NEEDS[k] for k in ("10_yolov8", "20_sam")})
        with contextlib.redirect_stdout(out_), contextlib.redirect_stderr(err_):
            assert main([*options_, "--list"]) == 0 and starts_ == []
            assert main(options_) == 1
            (Path(folder_) / "yolov8n.pt").write_bytes(b"weighus")
            assert main(options_) == 1
            assert main(["--profile", "none"]) == 2
            assert main(["--profile", "smoke"]) == 0
        assert (Path(folder_) / "yolov8n.pt").read_bytes() == b"weights"
    said_ = out_.getvalue()
    assert "yolov8n.pt: downloaded, checked" in said_ and "yolov8n.pt: expected SHA-256" in said_ and "it is downloaded again" in said_
    assert "Profile smoke starts from no published weights." in said_
    assert re.fullmatch(r"(FAILED: damaged download of sam_vit_b_01ec64.pth .*\n){2}error: expected a profile out of .*\n", err_.getvalue())
