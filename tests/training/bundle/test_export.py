import json
import shutil

import pytest
import torch
from labelled import SETTINGS
from monai.bundle import ConfigParser

from inference.findings import LABELS
from inference.model.bundle import load_bundle
from inference.model.metadata import CARD, CONFIG, METADATA, WEIGHTS
from training.bundle.export import NoRun, export_run
from training.bundle.parts import BundleExists
from training.classifier.cross_validation import NoFolds, by_patient, cross_validate
from training.classifier.train import source_of, train
from training.data.film_list import Source
from training.loop import BEST


def test_an_exported_run_is_a_bundle_that_reads_like_the_network(
    labelled_films, finished_run, tmp_path
):
    bundle = export_run(finished_run, tmp_path / "bundle", version="1.2.3", device="cpu")
    best = torch.load(finished_run / BEST, weights_only=True)["weights"]
    for name, value in bundle.network().state_dict().items():
        assert torch.allclose(value.float(), best[name].float(), rtol=1e-3, atol=1e-4)
    assert load_bundle(tmp_path / "bundle").identity == bundle.identity
    assert bundle.identity.version == "1.2.3"
    card = (tmp_path / "bundle" / CARD).read_text()
    assert "not a medical device" in card
    assert "32 frontal films of 8 patients" in card
    assert "| macro average |" in card
    assert str(labelled_films) not in card
    assert (tmp_path / "bundle" / WEIGHTS).stat().st_size < 25e6
    with pytest.raises(BundleExists):
        export_run(finished_run, tmp_path / "bundle")


def test_an_export_states_verdicts_of_val_films_and_nihs_prevalences(finished_run, tmp_path):
    bundle = export_run(finished_run, tmp_path / "bundle", device="cpu")
    readings = bundle.metadata.hilum.readings
    val = [one for one in source_of(finished_run).records() if one.split == "val"]
    sharp = [one for one in val if one.source_px == 1024]
    assert {reading.unseen.films for reading in readings.values()} == {len(sharp)}
    assert {reading.maps for reading in readings.values()} == {None}  # no box was given
    assert not any(reading.map_verified for reading in readings.values())
    assert readings["Pneumonia"].prevalence == pytest.approx(0.0128, abs=1e-4)
    own = export_run(finished_run, tmp_path / "films", device="cpu", prevalences="films")
    counted = [one.labels[LABELS.index("Pneumonia")] for one in val]
    fitted = own.metadata.hilum.readings["Pneumonia"]
    assert fitted.prevalence == pytest.approx(sum(counted) / len(counted))
    assert fitted.decision_logit == pytest.approx(readings["Pneumonia"].decision_logit)


def test_a_network_that_val_taught_is_calibrated_and_judged_out_of_fold(labelled_films, tmp_path):
    source = Source(films=labelled_films)
    last = SETTINGS.model_copy(update={"epochs": 1, "teach_val": True})
    train(source, tmp_path / "run", last)
    with pytest.raises(NoFolds, match="val films taught"):
        export_run(tmp_path / "run", tmp_path / "bundle", device="cpu")
    with pytest.raises(NoFolds, match="no network of a cross-validation"):
        export_run(tmp_path / "run", tmp_path / "bundle", device="cpu", folds=tmp_path / "folds")
    said = cross_validate(by_patient(source.records(), 2), tmp_path / "folds", last)
    bundle = export_run(
        tmp_path / "run", tmp_path / "bundle", device="cpu", folds=tmp_path / "folds"
    )
    sharp = [one for one in said.records if one.source_px == 1024]
    readings = bundle.metadata.hilum.readings
    assert {reading.unseen.films for reading in readings.values()} == {len(sharp)}
    card = (bundle.folder / CARD).read_text()
    assert "the weights after the last of 1 epochs" in card
    assert "90 % of films that did not teach" in card
    assert "hilum cross-validate" in card
    with pytest.raises(NoFolds, match="read films of 32 px, not of 48 px"):
        export_run(
            tmp_path / "run", tmp_path / "b", size_px=48, device="cpu", folds=tmp_path / "folds"
        )


def test_patients_who_taught_the_initial_weights_do_not_judge(labelled_films, tmp_path):
    source = Source(films=labelled_films)
    last = SETTINGS.model_copy(update={"epochs": 1, "teach_val": True})
    train(source, tmp_path / "run", last)
    cross_validate(by_patient(source.records(), 2), tmp_path / "folds", last)
    bundle = export_run(
        tmp_path / "run",
        tmp_path / "bundle",
        device="cpu",
        folds=tmp_path / "folds",
        taught=labelled_films,
    )
    val = [one for one in source.records() if one.split == "val" and one.source_px == 1024]
    readings = bundle.metadata.hilum.readings
    assert {reading.unseen.films for reading in readings.values()} == {len(val)}


def test_how_the_network_pools_travels_with_it(finished_run, tmp_path):
    best = torch.load(finished_run / BEST, weights_only=True)
    best["settings"]["pooling"] = "probability"
    run = shutil.copytree(finished_run, tmp_path / "run")
    torch.save(best, run / BEST)
    bundle = export_run(run, tmp_path / "bundle", device="cpu")
    assert bundle.network().pooling == "probability"
    parser = ConfigParser()
    parser.read_config(str(tmp_path / "bundle" / CONFIG))
    assert parser.get_parsed_content("network_def").pooling == "probability"


def test_a_run_that_does_not_say_how_it_pools_took_the_mean(finished_run, tmp_path):
    best = torch.load(finished_run / BEST, weights_only=True)
    del best["settings"]["pooling"]
    run = shutil.copytree(finished_run, tmp_path / "run")
    torch.save(best, run / BEST)
    assert export_run(run, tmp_path / "bundle", device="cpu").network().pooling == "mean"


def test_a_bundle_says_what_its_weights_may_be_used_for(finished_run, tmp_path):
    silent = export_run(finished_run, tmp_path / "silent", device="cpu")
    stated = export_run(finished_run, tmp_path / "stated", device="cpu", terms="research only")
    cards = [(bundle.folder / CARD).read_text() for bundle in (silent, stated)]
    assert "those of the films and labels that taught the weights" in cards[0]
    assert "of the weights: research only." in cards[1]
    metadata = json.loads((stated.folder / METADATA).read_text())
    assert metadata["copyright"] == "research only"


def test_the_folder_of_the_initial_weights_is_not_told(finished_run, tmp_path):
    best = torch.load(finished_run / BEST, weights_only=True)
    best["settings"]["initial"] = str(tmp_path / "somebody" / "best.pt")
    run = shutil.copytree(finished_run, tmp_path / "run")
    torch.save(best, run / BEST)
    bundle = export_run(run, tmp_path / "bundle", device="cpu")
    texts = [path.read_text() for path in (bundle.folder / CARD, bundle.folder / METADATA)]
    assert all("--set initial=best.pt" in text for text in texts)
    assert not any("somebody" in text for text in texts)


def test_a_folder_without_a_run_is_not_exported(tmp_path):
    with pytest.raises(NoRun):
        export_run(tmp_path, tmp_path / "bundle")
