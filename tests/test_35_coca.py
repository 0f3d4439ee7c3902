"""Tests of nbs/35_coca.ipynb, generated from its test cells. Edit the notebook, then run `make export`."""

import json
import tempfile
from pathlib import Path

import numpy as np
import open_clip
import pandas as pd
import pytest
import torch
from lightning.pytorch.callbacks import Callback
from open_clip.tokenizer import SimpleTokenizer
from torch.nn.attention import SDPBackend, sdpa_kernel

from brain_mri.coca import (
    CaptionedCrops, CocaClassifier, CocaTraining, TEMPLATES, attention_maps, build_coca, build_tokenizer, captions,
    coca_input, contrastive_floor, cost, generate_captions, load_classifier, named_class, start_from_published,
)
from brain_mri.data import CLASSES, DataError
from brain_mri.preprocess import Augmentation
from brain_mri.torch_training import DetectionData, fit, save_weights


def test_captions_name_their_class_and_no_other():
    assert [{named_class(caption) for caption in captions(name)} for name in CLASSES] == [{0}, {1}, {2}, {3}]
    assert named_class("a glioma, no tumour") == named_class("a brain scan") == -1


def test_an_early_stopped_tokenizer_still_writes_every_word():
    small_ = build_tokenizer(merges=300, context_length=40)
    assert small_.vocab_size == 512 + 300 + 2 and SimpleTokenizer().vocab_size == 49408
    for label_ in CLASSES:
        for caption_ in captions(label_):
            assert small_.decode(small_.encode(caption_)).replace(" :", ":").strip() == caption_.lower()
    with pytest.raises(ValueError, match="expected a context_length of at least .* got 8: raise it"):
        build_tokenizer(context_length=8)


def test_building_depends_on_the_seed_alone():
    nets_ = []
    for _ in range(2):
        torch.manual_seed(3)
        nets_.append(build_coca("small", 16, 600, width=16, layers=1, heads=2, text_width=8, text_layers=1, queries=3))
    values_ = [torch.cat([p.detach().flatten() for p in net.parameters()]) for net in nets_]
    assert torch.equal(*values_) and torch.isfinite(values_[0]).all() and values_[0].abs().max() < 10


def test_sizes_and_names_that_do_not_fit_are_named():
    for wrong_ in (dict(image_size=30), dict(image_size=32, heads=3), dict(image_size=32, queries=1)):
        with pytest.raises(ValueError, match="expected an image_size that is a multiple of patch, widths that are multiples of heads"):
            build_coca("small", **wrong_)
    with pytest.raises(ValueError, match="expected an architecture out of small, coca_ViT-B-32, coca_ViT-L-14, got 'ViT-B-32'"):
        build_coca("ViT-B-32")


def test_scales_are_those_of_the_paper_and_of_open_clip():
    grey_ = torch.full((1, 2, 2), 51, dtype=torch.uint8)
    assert torch.allclose(coca_input(grey_, "paper"), torch.tensor(0.2))
    expected_ = [(0.2 - m) / s for m, s in zip(open_clip.OPENAI_DATASET_MEAN, open_clip.OPENAI_DATASET_STD)]
    assert torch.allclose(coca_input(grey_, "native")[0, :, 0, 0], torch.tensor(expected_))
    with pytest.raises(ValueError, match="expected input_scale out of paper, native, got 'tf'"):
        coca_input(grey_, "tf")


def test_published_weights_that_cannot_be_had_are_named():
    small_ = build_coca("small", 16, 600, width=16, layers=1, heads=2, text_width=8, text_layers=1, queries=3)
    assert start_from_published(small_, "small", "scratch") is small_
    with pytest.raises(ValueError, match="expected weights scratch or pretrained, got 'laion'"):
        start_from_published(small_, "small", "laion")
    with pytest.raises(ValueError, match="with published weights, coca_ViT-B-32 or coca_ViT-L-14, got 'small'"):
        start_from_published(small_, "small", "pretrained")
    with pytest.raises(ValueError, match="expected a pretrained_tag out of laion2b_s13b_b90k, .* got 'openai'"):
        start_from_published(small_, "coca_ViT-B-32", "pretrained", "openai")
    with pytest.raises(FileNotFoundError, match="expected pretrained weights at .*none.pt, found none: correct weights_file"):
        start_from_published(small_, "coca_ViT-B-32", "pretrained", file="none.pt")


def test_published_weights_are_read_from_a_file_and_damage_is_named():
    net_ = lambda size: build_coca("small", size, 600, width=16, layers=1, heads=2, text_width=8, text_layers=1, queries=3)
    with tempfile.TemporaryDirectory() as folder_:
        file_, theirs_, ours_ = Path(folder_) / "published.pt", net_(16), net_(32)
        torch.save(theirs_.state_dict(), file_)
        start_from_published(ours_, "coca_ViT-B-32", "pretrained", file=str(file_))  # other image size: positions are interpolated
        assert torch.equal(ours_.text.token_embedding.weight, theirs_.text.token_embedding.weight)
        assert torch.equal(ours_.text_decoder.text_projection, theirs_.text_decoder.text_projection)
        file_.write_bytes(file_.read_bytes()[:3000])
        with pytest.raises(DataError, match="expected weights of coca_ViT-B-32 in .*published.pt, got .*: check weights_file") as caught_:
            start_from_published(ours_, "coca_ViT-B-32", "pretrained", file=str(file_))
        assert "\n" not in str(caught_.value)


def test_crop_and_caption_hang_on_seed_epoch_and_position_alone():
    noise_ = np.random.default_rng(0).integers(0, 256, (8, 16, 16), np.uint8)
    make_ = lambda seed: CaptionedCrops(noise_, np.arange(8) % 4, build_tokenizer(), Augmentation(), seed)
    a_, b_, other_ = make_(1), make_(1), make_(2)
    a_[0], a_[1]  # having drawn others before makes no difference
    assert all(torch.equal(x, y) for x, y in zip(a_[5], b_[5])) and not torch.equal(a_[5][0], other_[5][0])
    drawn_ = set()
    for b_.epoch in range(20):
        drawn_.add(tuple(b_[2][1].tolist()))
    assert len(drawn_) == len(TEMPLATES)
    assert CaptionedCrops(noise_, np.arange(8) % 4)[6][1] == 2


def test_the_floor_is_reached_when_classes_are_told_apart_and_nothing_else():
    labels_ = np.array([0, 0, 0, 1, 2, 2, 3, 3])
    same_ = torch.eye(4)[labels_]
    loss_ = open_clip.ClipLoss()(same_, same_, torch.tensor(100.0))
    assert abs(float(loss_) - contrastive_floor(labels_)) < 1e-4
    blind_ = torch.ones(8, 4) / 2  # nothing is told apart: the logarithm of the batch
    assert abs(float(open_clip.ClipLoss()(blind_, blind_, torch.tensor(100.0))) - np.log(8)) < 1e-5


def test_a_loss_that_is_not_a_number_stops_the_training():
    net_ = build_coca("small", 16, build_tokenizer().vocab_size, width=16, layers=1, heads=2, text_width=8, text_layers=1, queries=3)
    with torch.no_grad():
        net_.visual.proj[0, 0] = float("nan")
    step_ = CocaTraining(net_, build_tokenizer())
    with pytest.raises(ValueError, match=r"expected a finite loss, got \{'contrastive_loss': nan, .*\} in epoch 0: lower learning_rate"):
        step_.training_step((torch.ones(2, 16, 16, dtype=torch.uint8), list(build_tokenizer()(captions("glioma")[:2]))), 0)


def test_a_training_that_was_killed_goes_on_as_if_nothing_had_happened():
    class Stop_(Callback):
        def on_train_epoch_start(self, trainer, module):
            if trainer.current_epoch == 1:
                raise RuntimeError("killed")


    noise_, words_ = np.random.default_rng(0).integers(0, 256, (8, 16, 16), np.uint8), build_tokenizer(merges=200, context_length=40)
    pairs_ = lambda: CaptionedCrops(noise_, np.arange(8) % 4, words_, Augmentation())
    data_ = lambda: DetectionData(pairs_(), CaptionedCrops(noise_, np.arange(8) % 4), 4)
    ends_ = []
    for killed_ in (False, True):
        with tempfile.TemporaryDirectory() as folder_:

            def go_(*callbacks):
                torch.manual_seed(0)
                net = build_coca(
                    "small", 16, words_.vocab_size, width=8, layers=1, heads=2, text_width=8, text_layers=1, queries=2, context_length=40
                )
                module = CocaTraining(net, words_)
                module.configure_callbacks = lambda: list(callbacks)
                log = fit(module, data_(), folder_, 2, precision="32-true", device="cpu", monitor="val_score")
                return log, torch.cat([p.detach().flatten() for p in net.parameters()])

            if killed_:
                with pytest.raises(RuntimeError, match="killed"):
                    go_(Stop_())
            ends_.append(go_())
    pd.testing.assert_frame_equal(ends_[0][0], ends_[1][0])
    assert torch.equal(ends_[0][1], ends_[1][1]) and ends_[0][0].caption_loss.notna().all()


def test_captions_are_the_same_each_time_whoever_is_in_the_batch():
    torch.manual_seed(1)
    words_ = build_tokenizer()
    net_ = build_coca("small", 16, words_.vocab_size, width=16, layers=1, heads=2, text_width=8, text_layers=1, queries=3)
    writer_ = CocaClassifier(net_, words_, {"image_size": 16, "input_scale": "native"}, "cpu")
    crops_ = np.random.default_rng(0).integers(0, 256, (3, 16, 16), np.uint8)
    for beams_ in (1, 2):
        first_ = generate_captions(writer_, crops_, beams_)
        torch.manual_seed(beams_)
        assert first_ == generate_captions(writer_, crops_, beams_, batch_size=2) and len(first_) == 3
    assert generate_captions(writer_, crops_[:0]) == []


def test_attention_is_that_of_the_pooler_itself():
    torch.manual_seed(0)
    net_ = build_coca("small", 16, 600, width=16, layers=1, heads=2, text_width=8, text_layers=1, queries=3, patch=4, context_length=40)
    looker_ = CocaClassifier(net_, build_tokenizer(merges=86, context_length=40), {"image_size": 16, "input_scale": "native"}, "cpu")
    crops_ = np.random.default_rng(0).integers(0, 256, (3, 16, 16), np.uint8)
    maps_ = attention_maps(looker_, crops_, batch_size=2)
    assert (
        maps_.shape == (3, 16, 16)
        and maps_.dtype == np.float32
        and (maps_ >= 0).all()
        and attention_maps(looker_, crops_[:0]).shape == (0, 16, 16)
    )
    with torch.inference_mode(), sdpa_kernel(SDPBackend.MATH):
        net_.visual.conv1.weight.zero_(), net_.visual.positional_embedding.zero_()  # patches without content: even attention
    flat_ = attention_maps(looker_, crops_)
    assert np.ptp(flat_) < 1e-6 and 0 < flat_[0, 0, 0] < 1 / 16


def test_multiply_adds_by_hand():
    net_ = build_coca("small", 16, 600, width=16, layers=1, heads=2, text_width=8, text_layers=1, queries=3, patch=8, context_length=40)
    counted_ = cost(
        CocaClassifier(net_, build_tokenizer(merges=86, context_length=40), {"image_size": 16, "input_scale": "native"}, "cpu"),
        np.zeros((1, 16, 16), np.uint8),
    )
    patches_, tokens_ = 4 * 3 * 64 * 16, 4 + 1
    block_ = tokens_ * (3 * 16 * 16 + 16 * 16 + 2 * 16 * 64) + 2 * tokens_**2 * 16
    pooler_ = 3 * 8 * 8 * 2 + tokens_ * 2 * 16 * 8 + 2 * 3 * tokens_ * 8
    assert counted_["multiply_adds"] == patches_ + block_ + pooler_ + 8 * 8 + 8 * 4
    assert counted_["parameters"] == sum(p.numel() for p in net_.parameters()) and counted_["ms_alone"] > 0


def test_odd_crops_have_probabilities_and_wrong_ones_are_refused():
    net_ = build_coca("small", 16, 600, width=16, layers=1, heads=2, text_width=8, text_layers=1, queries=3, context_length=40)
    odd_ = CocaClassifier(net_, build_tokenizer(merges=86, context_length=40), {"image_size": 16, "input_scale": "paper"}, "cpu")
    black_ = np.zeros((1, 16, 16), np.uint8)
    assert np.allclose(odd_.predict(black_).sum(1), 1) and odd_.predict(black_).dtype == np.float32
    assert odd_.predict(black_[:0]).shape == (0, 4)
    noise_ = np.random.default_rng(0).integers(0, 256, (5, 16, 16), np.uint8)
    np.testing.assert_allclose(odd_.predict(noise_, batch_size=2), odd_.predict(noise_), rtol=1e-4)
    for wrong_ in (black_ / 255, black_[0], np.zeros((2, 16, 20), np.uint8)):
        with pytest.raises(ValueError, match="expected crops as uint8 n x 16 x 16, got"):
            odd_.predict(wrong_)


def test_classifier_comes_back_from_its_files_and_damage_is_named():
    sizes_ = dict(
        architecture="small",
        image_size=16,
        vocabulary=600,
        width=16,
        layers=1,
        heads=2,
        text_width=8,
        text_layers=1,
        queries=3,
        context_length=40,
    )
    card_ = dict(module="coca", f1_validation=0.5, built=sizes_, merges=86, image_size=16, input_scale="native", input="mask", margin=0.1)
    net_ = build_coca(**sizes_)
    noise_ = np.random.default_rng(0).integers(0, 256, (5, 16, 16), np.uint8)
    with tempfile.TemporaryDirectory() as folder_:
        save_weights(net_, folder_)
        (Path(folder_) / "classifier.json").write_text(json.dumps(card_))
        again_ = load_classifier(folder_, "cpu")
        assert np.array_equal(again_.predict(noise_), CocaClassifier(net_, again_.tokenizer, card_, "cpu").predict(noise_))
        file_ = Path(folder_) / "weights.pt"
        file_.write_bytes(file_.read_bytes()[:2000])
        with pytest.raises(DataError, match="expected the weights of CoCa in .*weights.pt, got .*: run 35_coca again"):
            load_classifier(folder_)
