"""What goes into the image; docker/test.sh builds and runs it."""

import os
import re
import shutil
import subprocess
import tomllib
from pathlib import Path

ROOT = Path(__file__).parents[2]
DOCKER = ROOT / "docker"
# says what pip would be told, and with which list
PYTHON = """#!/bin/sh
echo "$@"
"""


def read(name):
    return (ROOT / name).read_text(encoding="utf-8")


def install(folder, *arguments):
    """Run install.sh with a Python that only says what it is told; return that."""
    (folder / "bin").mkdir()
    program = folder / "bin" / "python"
    program.write_text(PYTHON, encoding="utf-8")
    program.chmod(0o755)
    (folder / "environment" / "lib" / "python3.11" / "site-packages").mkdir(parents=True)
    shutil.copy(ROOT / "requirements.lock", folder)
    path = f"{folder / 'bin'}:{os.environ['PATH']}"
    done = subprocess.run(
        ["sh", DOCKER / "install.sh", folder / "environment", *arguments],
        cwd=folder,
        env={"PATH": path},
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout.splitlines()


def packages(text):
    return set(re.findall(r"^([a-z][\w.-]*)==", text, flags=re.M))


def test_all_is_installed_by_the_lock_and_its_hashes(tmp_path):
    (told,) = install(tmp_path)
    assert told.endswith("--no-deps --require-hashes --requirement requirements.lock")


def test_with_an_index_of_cpu_wheels_torch_comes_from_there_and_cuda_from_nowhere(tmp_path):
    locked, torch = install(tmp_path, "https://wheels.test/cpu")
    assert "--require-hashes --requirement cpu.lock" in locked
    assert torch.endswith("--index-url https://wheels.test/cpu --requirement torch.txt")
    rest = (tmp_path / "cpu.lock").read_text(encoding="utf-8")
    left_out = packages(read("requirements.lock")) - packages(rest)
    assert {"torch", "torchvision", "triton"} < left_out
    assert {"pydicom", "pynetdicom", "numpy", "monai"} <= packages(rest)
    assert not [name for name in packages(rest) if re.match("nvidia|cuda", name)]
    wanted = (tmp_path / "torch.txt").read_text(encoding="utf-8")
    assert packages(wanted) == {"torch", "torchvision"}
    assert set(wanted.split()) <= set(read("requirements.lock").split())


def test_the_image_is_of_this_version_and_the_demonstration_shows_the_tested_viewer():
    version = tomllib.loads(read("pyproject.toml"))["project"]["version"]
    assert f"\nARG VERSION={version}\n" in read("docker/Dockerfile")
    assert f"image: hilum:${{HILUM_TAG:-{version}}}" in read("docker/compose.yaml")
    ohif = re.search(r"OHIF := @ohif/app@(\S+)\nOHIF_SHA512 := (\w+)", read("Makefile"))
    assert f"\nARG OHIF={ohif[1]}\nARG OHIF_SHA512={ohif[2]}\n" in read("docker/demo/Dockerfile")
