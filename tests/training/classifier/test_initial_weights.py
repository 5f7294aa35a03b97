import shutil
from contextlib import nullcontext
from pathlib import Path
from urllib.error import URLError

import numpy as np
import pytest
import torch
from labelled import SETTINGS
from safetensors.torch import save_file
from torch import nn
from torchvision.models import densenet121, resnet50

from inference.findings import LABELS
from inference.model.metadata import WEIGHTS, read_metadata
from inference.model.network import FindingNetwork
from inference.model.preprocessing import Preprocessing
from training.classifier import train as training
from training.classifier.initial_weights import (
    XRV_LABELS,
    NoWeights,
    _put,
    from_file,
    from_imagenet,
    from_torchxrayvision,
    initialise,
)
from training.data.film_list import Source
from training.settings import TrainSettings

SIDE = 96
MEAN, STD = torch.tensor([[0.485, 0.456, 0.406], [0.229, 0.224, 0.225]])[..., None, None]


def worked(network):
    """Give the batch normalisations statistics that are not those they begin with."""
    generator = torch.Generator().manual_seed(3)
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.running_mean.normal_(0, 0.1, generator=generator)
            module.running_var.uniform_(0.8, 1.2, generator=generator)
    return network.eval()


def film():
    """A film that is black for 16 px from each border, (1, 1, SIDE, SIDE) in [0, 1]."""
    grey = torch.zeros(1, 1, SIDE, SIDE)
    grey[..., 16:-16, 16:-16] = torch.rand(SIDE - 32, SIDE - 32, generator=torch.manual_seed(5))
    return grey


def ours(weights, architecture, labels=14):
    network = FindingNetwork(architecture, labels=labels)
    _put(network, weights, "test")
    return network.eval()


def as_we_read(grey):
    reads = Preprocessing(SIDE)
    return (grey - reads.mean) / reads.std


def unstrided(network):
    """Let the last stage of their network keep its resolution, as ours does."""
    for module in network.layer4.modules():
        if isinstance(module, nn.Conv2d):
            module.stride = (1, 1)
    return network


def stem_of(network, films):
    """What comes out of the first convolution and normalisation, where no border reaches."""
    names = [n for n, m in network.named_children() if isinstance(m, nn.Conv2d | nn.BatchNorm2d)]
    for name in names[:2]:
        films = getattr(network, name)(films)
    return films[..., 2:-2, 2:-2]


@torch.inference_mode()
@pytest.mark.parametrize("architecture", ["resnet50", "densenet121"])
def test_imagenet_weights_see_on_a_grey_film_what_they_see_on_its_colours(architecture):
    torch.manual_seed(0)
    theirs = worked({"resnet50": resnet50, "densenet121": densenet121}[architecture]())
    network = ours(from_imagenet(theirs.state_dict()), architecture)
    colours = ((film() - MEAN) / STD).expand(1, 3, SIDE, SIDE)
    wanted = stem_of(getattr(theirs, "features", theirs), colours)
    assert wanted.std() > 0.05
    assert torch.allclose(stem_of(network.trunk, as_we_read(film())), wanted, atol=1e-4)


@torch.inference_mode()
@pytest.mark.parametrize("architecture", ["resnet50", "densenet121"])
def test_behind_the_stem_imagenet_weights_are_theirs(architecture):
    torch.manual_seed(0)
    theirs = worked({"resnet50": resnet50, "densenet121": densenet121}[architecture]())
    network = ours(from_imagenet(theirs.state_dict()), architecture)
    stem = torch.rand(1, 64, 24, 24)
    if architecture == "resnet50":
        stages = list(unstrided(theirs).children())[4:-2]
    else:
        theirs.features.transition3.pool = nn.Identity()
        stages = [*list(theirs.features.children())[4:], nn.ReLU()]
    wanted, seen = (nn.Sequential(*s)(stem) for s in (stages, list(network.trunk.children())[4:]))
    assert torch.allclose(seen, wanted, rtol=1e-4, atol=1e-5)


def test_densenet_files_with_old_names_are_read():
    torch.manual_seed(0)
    state = densenet121().state_dict()
    old = {
        name.replace(".norm1.", ".norm.1.").replace(".norm2.", ".norm.2.")
        .replace(".conv1.", ".conv.1.").replace(".conv2.", ".conv.2."): value
        for name, value in state.items()
    }  # fmt: skip
    assert old.keys() != state.keys()
    new = from_imagenet(state)
    assert from_imagenet(old).keys() == new.keys()
    assert all(torch.equal(value, new[name]) for name, value in from_imagenet(old).items())


@torch.inference_mode()
def test_torchxrayvision_s_network_gives_the_same_logits_here(tmp_path):
    models = pytest.importorskip("torchxrayvision.models", exc_type=ImportError)
    torch.manual_seed(0)
    untrained = resnet50(num_classes=18)
    untrained.conv1 = nn.Conv2d(1, 64, 7, 2, 3, bias=False)
    known = models.model_urls["resnet50-res512-all"]
    file = tmp_path / known["weights_url"].rsplit("/", 1)[-1]
    torch.save(worked(untrained).state_dict(), file)
    theirs = models.ResNet("resnet50-res512-all", cache_dir=f"{tmp_path}/").eval()
    assert tuple(theirs.targets) == XRV_LABELS
    theirs.model = unstrided(theirs.model)
    grey = film()
    grey[grey == 0] = 0.5  # what is padded to theirs and to ours
    wanted = theirs.model(2048 * (grey - 0.5))[0]  # (18,)
    network = ours(from_torchxrayvision(theirs.state_dict()), "resnet50")
    logits, _ = network(as_we_read(grey))
    shared = [XRV_LABELS.index(label) for label in LABELS]
    assert wanted.std() > 0.01
    assert torch.allclose(logits[0], wanted[shared], rtol=1e-3, atol=1e-4)


# what cannot be had


@pytest.mark.parametrize(
    ("initial", "file"),
    [
        ("imagenet", "resnet50-11ad3fa6.pth"),
        ("torchxrayvision", "pc-nih-rsna-siim-vin-resnet50-test512-e400-state.pt"),
    ],
)
def test_without_a_network_the_missing_file_is_named_before_any_film_is_decoded(
    labelled_films, tmp_path, monkeypatch, initial, file
):
    def fails(url, **_):
        raise URLError("no route to host")

    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path))
    monkeypatch.setattr(torch.hub, "load_state_dict_from_url", fails)
    monkeypatch.setattr(training, "decoded", lambda *_: pytest.fail("films were decoded"))
    settings = SETTINGS.model_copy(update={"architecture": "resnet50", "initial": initial})
    with pytest.raises(NoWeights) as caught:
        training.train(Source(films=labelled_films), tmp_path / "run", settings)
    assert file in str(caught.value)
    assert str(tmp_path / "checkpoints" / file) in str(caught.value)
    assert not (tmp_path / "run").exists()


def test_a_file_that_is_in_place_needs_no_network(tmp_path, monkeypatch):
    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path))
    (tmp_path / "checkpoints").mkdir()
    theirs = resnet50().state_dict()
    torch.save(theirs, tmp_path / "checkpoints" / "resnet50-11ad3fa6.pth")
    network = FindingNetwork("resnet50")
    initialise(network, TrainSettings(initial="imagenet", architecture="resnet50"))
    assert torch.equal(network.trunk.layer1[0].conv2.weight, theirs["layer1.0.conv2.weight"])


@pytest.mark.parametrize("initial", ["imagenet", "torchxrayvision"])
def test_weights_that_do_not_exist_for_an_architecture_are_refused(initial):
    with pytest.raises(NoWeights, match="resnet18"):
        initialise(
            FindingNetwork("resnet18"), TrainSettings(initial=initial, architecture="resnet18")
        )


# files


def same(network, other):
    pairs = zip(network.state_dict().values(), other.state_dict().values(), strict=True)
    return all(torch.equal(one, two) for one, two in pairs)


@pytest.mark.parametrize("name", ["best.pt", "model.safetensors"])
def test_a_file_of_ours_gives_its_weights(tmp_path, name):
    source, network = FindingNetwork("resnet18"), FindingNetwork("resnet18")
    if name == "best.pt":
        torch.save({"settings": {}, "weights": source.state_dict(), "about": ""}, tmp_path / name)
    else:
        save_file({n: v.contiguous() for n, v in source.state_dict().items()}, tmp_path / name)
    assert not same(network, source)
    initialise(network, TrainSettings(initial=str(tmp_path / name), architecture="resnet18"))
    assert same(network, source)


def test_a_head_for_other_labels_is_left_as_it_was(tmp_path):
    source, network = FindingNetwork("resnet18", labels=256), FindingNetwork("resnet18")
    torch.save({"weights": source.state_dict(), "about": ""}, tmp_path / "best.pt")
    head = network.head.weight.clone()
    initialise(network, TrainSettings(initial=str(tmp_path / "best.pt"), architecture="resnet18"))
    assert torch.equal(network.head.weight, head)
    assert torch.equal(network.trunk.conv1.weight, source.trunk.conv1.weight)


def test_the_weights_of_another_architecture_are_refused(tmp_path):
    torch.save(
        {"weights": FindingNetwork("resnet18").state_dict(), "about": ""}, tmp_path / "best.pt"
    )
    with pytest.raises(NoWeights, match="do not fit"):
        initialise(
            FindingNetwork("resnet50"),
            TrainSettings(initial=str(tmp_path / "best.pt"), architecture="resnet50"),
        )


@pytest.mark.parametrize("name", ["best.pt", "model.safetensors"])
@pytest.mark.parametrize("content", [None, b"", b"something else"])
def test_a_missing_or_foreign_file_is_named(tmp_path, name, content):
    path = tmp_path / name
    with nullcontext() if content is None else path.open("wb") as file:
        if file:
            file.write(content)
    with pytest.raises(NoWeights, match=name):
        from_file(path)


def test_the_weights_of_a_bundle_are_named_with_what_taught_them(tiny_bundle, tmp_path):
    said = from_file(tiny_bundle / WEIGHTS)[1]
    metadata = read_metadata(tiny_bundle)
    assert said.startswith(f"{metadata.name} {metadata.version} (nothing: its weights are random")
    alone = shutil.copy(tiny_bundle / WEIGHTS, tmp_path / "model.safetensors")
    assert from_file(Path(alone))[1] == "the weights of model.safetensors"


def test_a_file_with_code_in_it_is_not_run(tmp_path):
    torch.save({"weights": np.random.default_rng()}, tmp_path / "best.pt")
    with pytest.raises(NoWeights, match="cannot be read"):
        from_file(tmp_path / "best.pt")
