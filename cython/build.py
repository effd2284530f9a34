"""Compile every Cython module of the project into a directory.

    python cython/build.py OUTPUT_DIR

rust/py/build.rs calls it; the results land in OUTPUT_DIR/keepvip/*.so. Warnings of Cython and of the C compiler are
errors.
"""

import sys
from pathlib import Path

from Cython.Build import cythonize
from Cython.Compiler import Options
from setuptools import Distribution, Extension
from setuptools.command.build_ext import build_ext

SOURCE_ROOT = Path(__file__).resolve().parent

# -Wextra is left out: CPython's own headers do not pass it on every version.
COMPILE_ARGS = ["-O2", "-Wall", "-Werror", "-fvisibility=hidden"]


def extensions(root: Path) -> list[Extension]:
    """One extension per .pyx file; its dotted name follows from its place under `root`."""
    return [
        Extension(
            ".".join(source.relative_to(root).with_suffix("").parts),
            [str(source)],
            extra_compile_args=COMPILE_ARGS,
        )
        for source in sorted(root.glob("keepvip/**/*.pyx"))
    ]


def build(output: Path) -> None:
    """Translate and compile into `output`; the generated C goes to a scratch folder beside it."""
    Options.warning_errors = True
    modules = cythonize(
        extensions(SOURCE_ROOT),
        build_dir=str(output / "cython-c"),
        include_path=[str(SOURCE_ROOT)],
        compiler_directives={"language_level": "3", "freethreading_compatible": True},
    )
    command = build_ext(Distribution({"name": "keepvip", "ext_modules": modules}))
    command.build_lib = str(output)
    command.build_temp = str(output / "cython-o")
    command.ensure_finalized()
    command.run()


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    build(Path(sys.argv[1]).resolve())
