"""Wheel and sdist hold what they should, and work where the repository is not."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import zipfile
from importlib.metadata import Distribution
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

import stream

ROOT = Path(__file__).parents[1]
PACKAGES = {"quran_index", "lm", "decoders", "acoustic", "stream"}
SAMPLE = ROOT / "examples" / "al-fatiha.opus"


def python(*arguments: str, cwd: Path = ROOT) -> None:
    subprocess.run([sys.executable, *arguments], cwd=cwd, check=True, timeout=300)


def wheel_of(source: Path, folder: Path) -> Path:
    python(
        *("-m", "pip", "--disable-pip-version-check", "--quiet", "wheel", str(source)),
        *("--no-deps", "--no-build-isolation", "--wheel-dir", str(folder)),
    )
    (built,) = folder.glob("tasmi-*.whl")
    return built


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy, since builds leave files beside the sources."""
    copy = tmp_path_factory.mktemp("source")
    compiled = shutil.ignore_patterns("__pycache__")
    for package in PACKAGES:
        shutil.copytree(ROOT / package, copy / package, ignore=compiled)
    for name in ("pyproject.toml", "MANIFEST.in", "README.md", "CHANGELOG.md", "LICENSE"):
        shutil.copy(ROOT / name, copy)
    return copy


@pytest.fixture(scope="module")
def wheel(source: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return wheel_of(source, tmp_path_factory.mktemp("wheel"))


@pytest.fixture(scope="module")
def wheel_of_sdist(source: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("sdist")
    build = "import sys; from setuptools import build_meta; build_meta.build_sdist(sys.argv[1])"
    python("-c", build, str(folder), cwd=source)
    (sdist,) = folder.glob("tasmi-*.tar.gz")
    return wheel_of(sdist, tmp_path_factory.mktemp("wheel_of_sdist"))


@pytest.fixture(scope="module")
def site(wheel_of_sdist: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder into which it is installed."""
    folder = tmp_path_factory.mktemp("site")
    python(
        *("-m", "pip", "--disable-pip-version-check", "--quiet", "install", str(wheel_of_sdist)),
        *("--no-deps", "--target", str(folder)),
    )
    return folder


def run(program: str, site: Path, folder: Path) -> str:
    """Runs a program with the installed packages; returns what it prints."""
    (folder / "program.py").write_text(program)
    done = subprocess.run(
        [sys.executable, "program.py"],
        cwd=folder,
        env={"PYTHONPATH": str(site), "PATH": "/usr/bin:/bin"},
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def to_train_on(path: Path) -> bool:
    """Not for those who install it."""
    return path.suffix == ".pt" or path.parent.name == "checkpoints"


def test_contents(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
    top = {name.split("/")[0] for name in names}
    assert {name for name in top if not name.endswith(".dist-info")} == PACKAGES
    for package in PACKAGES:
        on_disk = {
            str(path.relative_to(ROOT))
            for path in (ROOT / package).rglob("*")
            if path.is_file() and "__pycache__" not in path.parts and not to_train_on(path)
        }
        assert on_disk <= set(names)
        assert f"{package}/py.typed" in names


def test_sdist_makes_the_same_wheel(wheel: Path, wheel_of_sdist: Path) -> None:
    def record(path: Path) -> set[str]:
        """Every file's name, size and checksum; but not of the metadata, which name the place."""
        with zipfile.ZipFile(path) as archive:
            (name,) = (name for name in archive.namelist() if name.endswith("/RECORD"))
            return set(archive.read(name).decode().split())

    assert record(wheel_of_sdist) == record(wheel)


RECOGNISE = """
import sys
from importlib.metadata import packages_distributions

import stream.mic, stream.replay
assert stream.__file__.startswith({site!r}), stream.__file__
ended = stream.Recognizer.load().recognize({sample!r})
assert [(f.surah, f.ayah) for f in ended.finals] == [(1, ayah) for ayah in range(1, 8)]
try:
    stream.input_devices()
except stream.PortAudioMissingError:
    pass
packages = {{name.partition(".")[0] for name, module in list(sys.modules.items()) if module}}
distributions = packages_distributions()
print(*(name for package in packages for name in distributions.get(package, ())))
"""


def test_it_recognises_with_the_core_requirements_and_needs_them_all(
    site: Path, tmp_path: Path
) -> None:
    program = RECOGNISE.format(site=str(site), sample=str(SAMPLE))
    imported = {canonicalize_name(name) for name in run(program, site, tmp_path).split()}
    core, extra = set(), set()
    (metadata,) = site.glob("tasmi-*.dist-info")
    for text in Distribution.at(metadata).requires or ():
        requirement = Requirement(text)
        (extra if requirement.marker else core).add(canonicalize_name(requirement.name))
    assert core - imported <= {"sounddevice"}  # which cannot be imported without PortAudio
    assert not imported & (extra - core - {"setuptools", "tasmi"})  # numba uses what setuptools has


DAMAGE = """
from pathlib import Path
from stream import InstallationError, Recognizer

site = Path({site!r})
for name in {names!r}:
    path = site / name
    whole = path.read_bytes()
    for damaged in (None, whole[: len(whole) // 2], b"<html>not found</html>"):
        path.unlink()
        if damaged is not None:
            path.write_bytes(damaged)
        try:
            Recognizer.load()
        except InstallationError as error:
            assert error.remedy == "install Tasmi again", error
            print(name, "|", error.problem)
        else:
            print(name, "was loaded with", damaged and len(damaged), "bytes")
        path.write_bytes(whole)
"""


def test_missing_and_damaged_files_are_told(site: Path, tmp_path: Path) -> None:
    damaged = tmp_path / "site"
    shutil.copytree(site, damaged)
    reasons = {
        "quran_index/data/quran.npz": "the index of the Quran cannot be loaded",
        "acoustic/weights/conformer.onnx": "the acoustic model cannot be loaded",
        "lm/data/priors.npz": "the search cannot be loaded",
        "stream/data/silero_vad_16k_sequence.onnx": "the voice activity model cannot be loaded",
    }
    program = DAMAGE.format(site=str(damaged), names=list(reasons))
    told = run(program, damaged, tmp_path).splitlines()
    assert len(told) == 3 * len(reasons)
    for line in told:
        name, _, problem = line.partition(" | ")
        assert problem.startswith(f"{reasons[name]} ("), line


def test_requirements_agree_with_each_other() -> None:
    python("-m", "pip", "--disable-pip-version-check", "check")


def test_the_version_is_semantic_and_in_the_changelog() -> None:
    assert re.fullmatch(r"\d+\.\d+\.\d+", stream.__version__)
    headings = re.findall(r"^## \[(.+?)\]", (ROOT / "CHANGELOG.md").read_text(), re.MULTILINE)
    assert headings[0] == "Unreleased"
    assert headings[1] == stream.__version__
