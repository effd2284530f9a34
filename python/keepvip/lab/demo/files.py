"""The configuration of the main job: examples/main-job of the source tree (a test keeps the two the same)."""

from importlib import resources
from pathlib import Path


def main_job(role: str) -> Path:
    """The file for ``master`` or ``backup``, to be used as it is."""
    return Path(str(resources.files("keepvip.lab.demo").joinpath(f"{role}.conf")))
