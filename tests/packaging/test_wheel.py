"""The wheel holds all three languages, and what it installs runs without the source tree."""

import os
import subprocess
import sys
import venv
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Build the wheel as `pip install .` does, with the build tools of this environment instead of fetched ones."""
    out = tmp_path_factory.mktemp("wheel")
    # pip asks the backend in-process; the backend finds maturin by PATH.
    env = {**os.environ, "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}
    pip = (sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--no-build-isolation")
    subprocess.run([*pip, "-w", str(out), str(ROOT)], check=True, env=env, timeout=600)
    (found,) = out.glob("keepvip-*.whl")
    return found


@pytest.mark.timeout(900)
def test_holds_the_native_modules_and_the_marker_of_types(wheel: Path) -> None:
    """A module that git ignores is easily left out of a wheel in silence."""
    names = set(zipfile.ZipFile(wheel).namelist())
    natives = sorted(name.split(".")[0] for name in names if name.endswith(".so"))
    assert natives == ["keepvip/_core", "keepvip/_ipvs", "keepvip/_probe"]
    assert {
        "keepvip/py.typed",
        "keepvip/_ipvs.pyi",
        "keepvip/_probe.pyi",
        "keepvip/_ipvs_py.py",
        "keepvip/cli/main.py",
    } <= names
    assert not any(name.startswith("tests/") or "/tests/" in name for name in names)
    assert any(name.endswith(".dist-info/licenses/LICENSE") for name in names)


def test_is_not_tagged_for_other_interpreters(wheel: Path) -> None:
    """The Cython module is of one CPython version: a wheel tagged abi3 would install and then fail to import."""
    tag = f"cp{sys.version_info.major}{sys.version_info.minor}"
    assert f"-{tag}-{tag}-" in wheel.name


def test_runs_from_the_wheel_alone(wheel: Path, tmp_path: Path) -> None:
    venv.create(tmp_path / "venv", with_pip=False, symlinks=True)
    python = tmp_path / "venv/bin/python"
    site = subprocess.run(
        [python, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))"],
        check=True,
        capture_output=True,
        text=True,
    ).stdout.strip()
    zipfile.ZipFile(wheel).extractall(site)
    code = (
        "import keepvip, keepvip._core, keepvip._ipvs;"
        "assert keepvip._ipvs.encode(17, 27, 1, 5);"
        "print(keepvip.__version__, keepvip._core.__file__)"
    )
    out = subprocess.run(
        [python, "-I", "-c", code], check=True, capture_output=True, text=True, cwd=tmp_path, timeout=60
    ).stdout.split()
    assert out[0] in wheel.name
    assert out[1].startswith(site)
