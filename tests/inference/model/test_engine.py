import threading
import time
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import torch
from torch import nn

from inference.errors import EngineClosed
from inference.findings import LABELS
from inference.image.film import Film
from inference.model.bundle import load_bundle
from inference.model.engine import Engine, ReadFailed, UnknownDevice, find_device
from inference.model.operating_points import BadOperatingPoint

pytestmark = pytest.mark.xdist_group("engine")  # its fixtures are made once


@pytest.fixture(scope="module")
def bundle(tiny_bundle):
    return load_bundle(tiny_bundle)


@pytest.fixture(scope="module")
def engine(bundle):
    with Engine(bundle, device="cpu") as engine:
        yield engine


def wait_for(condition, seconds=10):
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline


def film_of(seed, rows=90, columns=70):
    return Film(np.random.default_rng(seed).random((rows, columns), dtype=np.float32))


def test_a_film_gets_probabilities_thresholds_and_heatmaps(engine, bundle):
    prediction = engine.read(film_of(0))
    assert prediction.probabilities.shape == prediction.thresholds.shape == (14,)
    assert prediction.heatmaps.shape == (14, 4, 4)
    assert ((prediction.probabilities > 0) & (prediction.probabilities < 1)).all()
    assert ((prediction.heatmaps >= 0) & (prediction.heatmaps <= 1)).all()
    assert prediction.model == bundle.identity


def test_a_positive_finding_always_has_something_to_show(engine):
    prediction = engine.read(film_of(1))
    assert prediction.positive.any()
    assert (prediction.heatmaps[prediction.positive].max(axis=(1, 2)) == 1).all()


def test_different_films_get_different_answers(engine):
    first, second = engine.read(film_of(2)), engine.read(film_of(3))
    assert np.abs(first.probabilities - second.probabilities).max() > 1e-3


def test_a_film_reads_the_same_whatever_shares_its_batch(bundle):
    films = [film_of(seed) for seed in range(20)]
    with Engine(bundle, device="cpu", batch_size=1) as alone:
        expected = [alone.read(film) for film in films]
    with Engine(bundle, device="cpu", batch_size=7) as shared, ThreadPoolExecutor(20) as threads:
        found = list(threads.map(shared.read, films))
    for one, other in zip(expected, found, strict=True):
        assert np.abs(one.probabilities - other.probabilities).max() < 1e-4
        assert np.abs(one.heatmaps - other.heatmaps).max() < 1e-3


def test_films_that_wait_share_a_forward_pass(bundle):
    sizes, started, go_on = [], threading.Event(), threading.Event()
    with Engine(bundle, device="cpu", batch_size=4) as engine, ThreadPoolExecutor(9) as threads:

        def watch(_module, inputs):
            sizes.append(len(inputs[0]))
            started.set()
            go_on.wait(10)  # hold the first batch until the others wait

        engine._network.register_forward_pre_hook(watch)
        first = threads.submit(engine.read, film_of(0))
        assert started.wait(10)
        others = [threads.submit(engine.read, film_of(seed)) for seed in range(1, 9)]
        wait_for(lambda: engine.waiting == 8)
        go_on.set()
        for future in [first, *others]:
            future.result(timeout=30)
    assert sizes == [1, 4, 4]


def test_an_error_reaches_its_callers_and_the_next_film_is_read(bundle):
    with Engine(bundle, device="cpu") as engine:
        head = engine._network.head
        engine._network.head = nn.Conv2d(3, 14, 1)  # takes another number of features
        with pytest.raises(RuntimeError, match="channels"):
            engine.read(film_of(0))
        engine._network.head = head
        assert engine.read(film_of(0)).probabilities.shape == (14,)


def test_a_film_without_numbers_is_an_error_and_not_a_normal_film(engine):
    pixels = film_of(0).pixels.copy()
    pixels[40, 30] = np.nan
    with pytest.raises(ReadFailed, match="nan"):
        engine.read(Film(pixels))
    assert engine.read(film_of(0)).probabilities.shape == (14,)


def test_a_closed_engine_says_so(bundle):
    engine = Engine(bundle, device="cpu")
    engine.close()
    engine.close()
    with pytest.raises(EngineClosed):
        engine.read(film_of(0))


def test_closing_reads_the_films_that_wait(bundle):
    started, go_on = threading.Event(), threading.Event()
    engine = Engine(bundle, device="cpu", batch_size=1)

    def hold(*_):
        started.set()
        go_on.wait(10)

    engine._network.register_forward_pre_hook(hold)
    with ThreadPoolExecutor(4) as threads:
        waiting = [threads.submit(engine.read, film_of(seed)) for seed in range(3)]
        assert started.wait(10)
        wait_for(lambda: engine.waiting == 2)
        closing = threads.submit(engine.close)
        go_on.set()
        closing.result(timeout=30)
        assert all(future.result(timeout=30).probabilities.shape == (14,) for future in waiting)


def test_a_site_may_set_its_own_operating_point(bundle):
    with Engine(bundle, device="cpu", thresholds={"Mass": 0.25}) as engine:
        thresholds = dict(zip(LABELS, engine.read(film_of(0)).thresholds, strict=True))
    assert thresholds["Mass"] == pytest.approx(0.25)
    assert thresholds["Nodule"] == pytest.approx(0.5)


def test_a_lower_operating_point_shows_more_on_the_heatmap(bundle, engine):
    with Engine(bundle, device="cpu", thresholds={"Mass": 1e-4}) as low:
        wide = low.read(film_of(0)).heatmaps[LABELS.index("Mass")]
    narrow = engine.read(film_of(0)).heatmaps[LABELS.index("Mass")]
    assert (wide > 0).sum() > (narrow > 0).sum()


def test_an_unknown_finding_is_answered_with_the_nearest(bundle):
    with pytest.raises(BadOperatingPoint, match="did you mean Pneumothorax"):
        Engine(bundle, device="cpu", thresholds={"Pneumothorx": 0.5})


@pytest.mark.parametrize("threshold", [0.0, 1.0, -0.1, 7.0, float("nan")])
def test_an_impossible_threshold_is_refused(bundle, threshold):
    with pytest.raises(BadOperatingPoint, match="Mass"):
        Engine(bundle, device="cpu", thresholds={"Mass": threshold})


@pytest.mark.parametrize("name", ["gpu", "cuda:", "cuda:x", "cuda:-1", "CPU", ""])
def test_a_device_that_is_no_device_is_refused(name):
    with pytest.raises(UnknownDevice, match="none of auto, cpu, cuda, cuda:N"):
        find_device(name)


def test_a_cuda_device_that_is_not_there_is_refused():
    with pytest.raises(UnknownDevice, match="this machine has"):
        find_device("cuda:99")


def test_auto_finds_a_device():
    assert find_device("auto").type == ("cuda" if torch.cuda.is_available() else "cpu")


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
def test_a_gpu_reads_as_the_processor_does(bundle, engine):
    films = [film_of(seed) for seed in range(20)]
    with Engine(bundle, device="cuda", batch_size=7) as gpu, ThreadPoolExecutor(20) as threads:
        found = list(threads.map(gpu.read, films))
    for film, prediction in zip(films, found, strict=True):
        expected = engine.read(film)
        # half precision on the one side
        assert np.abs(prediction.probabilities - expected.probabilities).max() < 1e-2
        assert np.abs(prediction.heatmaps - expected.heatmaps).max() < 5e-2
