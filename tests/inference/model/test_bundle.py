import json
import shutil

import pytest
import torch
from monai.bundle import ConfigParser
from safetensors.torch import load_file, save_file

from inference.errors import BundleError
from inference.model.bundle import OtherWeights, PickledWeights, file_sha256, load_bundle
from inference.model.calibration import OutputCalibration
from inference.model.metadata import (
    CARD,
    CONFIG,
    METADATA,
    WEIGHTS,
    BundleIncomplete,
    BundleMalformed,
    OtherLabels,
    bundle_folder,
)
from inference.model.network import calibrated


@pytest.fixture
def folder(tiny_bundle, tmp_path):
    return shutil.copytree(tiny_bundle, tmp_path / "bundle")


def edit_metadata(folder, edit):
    metadata = json.loads((folder / METADATA).read_text())
    edit(metadata)
    (folder / METADATA).write_text(json.dumps(metadata))


def test_a_bundle_says_who_it_is_and_what_it_needs(tiny_bundle):
    bundle = load_bundle(tiny_bundle)
    assert (bundle.identity.name, bundle.identity.version) == ("tiny", "0.0.1")
    assert len(bundle.identity.sha256) == 64
    assert bundle.preprocessing.size_px == 64
    assert len(bundle.calibrations) == 14


def test_the_shipped_bundle_is_whole_small_and_says_what_it_is():
    bundle = load_bundle(bundle_folder())
    assert bundle.metadata.hilum.architecture == "resnet50"
    assert (bundle.folder / WEIGHTS).stat().st_size < 50e6
    assert bundle.network().training is False
    assert "not a medical device" in (bundle.folder / CARD).read_text()


def test_the_shipped_bundle_states_what_films_that_did_not_teach_say_of_each_finding():
    readings = load_bundle(bundle_folder()).metadata.hilum.readings
    assert all(reading.unseen.films > 1000 for reading in readings.values())
    assert not readings["Hernia"].assessed  # nobody could tell by so few films
    boxed = {label: reading.maps for label, reading in readings.items() if reading.maps}
    assert len(boxed) == 8  # of these NIH's radiologists drew boxes
    for found in boxed.values():
        controls = (found.random_box, found.mean_map, found.other_film)
        assert not found.verified or found.pointing > max(controls)
    assert readings["Pneumonia"].prevalence == pytest.approx(0.0128, abs=1e-4)  # as NIH's


def test_the_network_comes_ready_to_infer_in_float32(tiny_bundle):
    network = load_bundle(tiny_bundle).network()
    assert not network.training
    assert {p.dtype for p in network.parameters()} == {torch.float32}
    assert not any(p.requires_grad for p in network.parameters())


def test_identity_changes_with_weights_and_metadata_but_not_with_the_card(folder):
    before = load_bundle(folder).identity
    (folder / CARD).write_text("another card")
    assert load_bundle(folder).identity == before
    edit_metadata(folder, lambda m: m["hilum"]["readings"]["Mass"].update(threshold=0.4))
    assert load_bundle(folder).identity.sha256 != before.sha256


@pytest.mark.parametrize("name", [METADATA, CONFIG, WEIGHTS, CARD])
def test_a_missing_file_is_named(folder, name):
    (folder / name).unlink()
    with pytest.raises(BundleIncomplete, match=str(name)):
        load_bundle(folder)


def test_a_folder_that_is_not_there_is_incomplete(tmp_path):
    with pytest.raises(BundleIncomplete):
        load_bundle(tmp_path / "nowhere")


def test_other_weights_are_refused(folder):
    weights = load_file(folder / WEIGHTS)
    weights["head.bias"] += 1
    save_file(weights, folder / WEIGHTS)
    with pytest.raises(OtherWeights, match="copy the whole bundle again"):
        load_bundle(folder)


def test_labels_in_another_order_are_refused(folder):
    def swap(metadata):
        readings = metadata["hilum"]["readings"]
        metadata["hilum"]["readings"] = dict(reversed(readings.items()))

    edit_metadata(folder, swap)
    with pytest.raises(OtherLabels, match="in this order, Atelectasis"):
        load_bundle(folder)


def test_a_missing_label_is_refused(folder):
    edit_metadata(folder, lambda m: m["hilum"]["readings"].pop("Hernia"))
    with pytest.raises(OtherLabels):
        load_bundle(folder)


@pytest.mark.parametrize("suffix", ["pt", "pth", "pkl"])
def test_a_pickle_is_refused_by_name(folder, suffix):
    path = folder / "models" / f"model.{suffix}"
    path.write_bytes(b"")
    with pytest.raises(PickledWeights, match=path.name):
        load_bundle(folder)


@pytest.mark.parametrize(
    ("edit", "reason"),
    [
        (lambda m: m["hilum"].update(size_px=128), "spatial|size_px"),
        (lambda m: m["hilum"].update(size_px=8), "size_px"),
        (lambda m: m["hilum"].update(std=0), "std"),
        (lambda m: m["hilum"].update(architecture="vgg"), "architecture"),
        (lambda m: m["hilum"].pop("weights_sha256"), "weights_sha256"),
        (lambda m: m["hilum"].update(colour="blue"), "colour"),
        (lambda m: m["hilum"]["readings"]["Mass"].update(slope=-1), r"Mass\.slope"),
        (lambda m: m["hilum"]["readings"]["Mass"].update(threshold=1.5), r"Mass\.threshold"),
        (lambda m: m.pop("monai_version"), "monai_version"),
    ],
)
def test_metadata_that_does_not_fit_is_refused_with_the_place(folder, edit, reason):
    edit_metadata(folder, edit)
    with pytest.raises(BundleMalformed, match=reason):
        load_bundle(folder)


def test_metadata_that_is_not_json_is_refused(folder):
    (folder / METADATA).write_text("{")
    with pytest.raises(BundleMalformed):
        load_bundle(folder)


def test_weights_of_another_architecture_are_refused(folder):
    edit_metadata(folder, lambda m: m["hilum"].update(architecture="resnet50"))
    with pytest.raises(BundleMalformed, match="does not fit resnet50"):
        load_bundle(folder).network()


def test_weights_that_are_no_safetensors_are_refused(folder):
    (folder / WEIGHTS).write_bytes(b"no weights")
    edit_metadata(folder, lambda m: m["hilum"].update(weights_sha256=file_sha256(folder / WEIGHTS)))
    with pytest.raises(BundleError, match="does not fit"):
        load_bundle(folder).network()


def test_monai_builds_the_same_network_from_the_configuration(tiny_bundle):
    parser = ConfigParser()
    parser.read_config(str(tiny_bundle / CONFIG))
    parser.read_meta(str(tiny_bundle / METADATA))
    parser["bundle_root"] = str(tiny_bundle)
    parser.get_parsed_content("initialize")
    theirs = parser.get_parsed_content("network_def").cpu()
    bundle = load_bundle(tiny_bundle)
    films = torch.randn(2, 1, 64, 64, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        assert torch.equal(theirs(films)[0], bundle.network()(films)[0])
    assert parser.get_parsed_content("preprocessing") == bundle.preprocessing


def test_the_decision_logit_is_where_the_probability_reaches_the_threshold():
    reading = OutputCalibration(slope=0.7, intercept=-1.2, threshold=0.13, prevalence=0.1)
    logits = torch.full((1, 14), reading.decision_logit)
    assert torch.allclose(calibrated(logits, (reading,) * 14).sigmoid(), torch.tensor(0.13))
