"""Builds the C doors; kernels/isa*.c are compiled once per instruction set."""

from __future__ import annotations

import os
import platform
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy
from Cython.Build import cythonize
from setuptools import Extension, setup
from setuptools.command.build_ext import build_ext

ROOT = Path(__file__).parent
X86_64 = {
    "avx2": ["-mavx2", "-mfma"],
    "avx512": ["-mavx512f", "-mavx512dq", "-mavx512bw", "-mavx512vl", "-mfma"],
}
AARCH64: dict[str, list[str]] = {"neon": []}
SANITIZE = os.environ.get("TENSORNET_SANITIZE")
# Python's own flags ask for debug information, which is a quarter of the compile time
C_FLAGS = ["-std=gnu11", "-O3", "-g" if SANITIZE else "-g0", "-fvisibility=hidden", "-pthread"]
if SANITIZE:
    C_FLAGS.append(f"-fsanitize={SANITIZE}")
KERNELS = "tensornet._kernels"


def sources(*patterns: str) -> list[str]:
    return sorted(
        str(path.relative_to(ROOT))
        for pattern in patterns
        for path in (ROOT / "src_c").glob(pattern)
        if not path.name.startswith("isa")
    )


def headers() -> list[str]:
    return [str(path.relative_to(ROOT)) for path in (ROOT / "src_c").rglob("*.h")]


class BuildKernels(build_ext):
    """Adds one object per instruction set to the kernel extension."""

    def run(self) -> None:
        super().run()
        if not self.inplace:  # `python -m tensornet` in this folder finds the sources first
            self.copy_extensions_to_source()

    def build_extension(self, ext: Extension) -> None:
        if ext.name == KERNELS:
            machine = platform.machine().lower()
            tables = {"x86_64": X86_64, "amd64": X86_64, "aarch64": AARCH64, "arm64": AARCH64}
            isas = {"generic": [], **tables.get(machine, {})}
            isas = {name: flags for name, flags in isas.items() if self.accepts(flags)}
            ext.define_macros += [(f"TN_HAVE_{name}", "1") for name in isas]
            with ThreadPoolExecutor(os.cpu_count()) as pool:  # each takes most of a minute
                objects = pool.map(self.isa_objects, isas, isas.values())
                ext.extra_objects = [made for each in objects for made in each]
        super().build_extension(ext)

    def accepts(self, flags: list[str]) -> bool:
        """Whether the compiler takes these flags."""
        with tempfile.TemporaryDirectory() as folder:
            probe = Path(folder, "probe.c")
            probe.write_text("int probe(void) { return 0; }\n")
            try:
                self.compiler.compile([str(probe)], output_dir=folder, extra_postargs=flags)
            except Exception as error:  # each compiler class has an exception of its own
                print(f"left out {flags}: {error}")
                return False
        return True

    def isa_objects(self, name: str, flags: list[str]) -> list[str]:
        per_isa = sorted(Path("src_c", "kernels").glob("isa*.c"))
        made: list[str] = self.compiler.compile(
            list(map(str, per_isa)),
            output_dir=str(Path(self.build_temp, name)),
            macros=[("TN_ISA", name), (f"TN_ISA_{name}", "1")],
            extra_postargs=C_FLAGS + flags,
            depends=headers(),
        )
        return made


def extension(name: str, c_sources: list[str], *flags: str) -> Extension:
    return Extension(
        name,
        [name.replace(".", "/") + ".pyx", *c_sources],
        include_dirs=["src_c", numpy.get_include()],
        define_macros=[
            ("NPY_NO_DEPRECATED_API", "NPY_1_7_API_VERSION"),
            ("NPY_TARGET_VERSION", "NPY_1_22_API_VERSION"),  # memory handlers
        ],
        extra_compile_args=[*C_FLAGS, *flags],
        extra_link_args=[flag for flag in C_FLAGS if "sanitize" in flag or flag == "-pthread"],
        libraries=["m"],
        depends=headers(),
    )


extensions = [
    extension(KERNELS, sources("*.c", "kernels/*.c")),
    extension("tensornet._tape", []),
    extension("tensornet._program", []),
    extension("tensornet._gradient", []),
    # plans are bitwise the same everywhere: no fused multiply-add in the planner
    extension("tensornet.planner._search", sources("planner/*.c"), "-ffp-contract=off"),
]

setup(
    ext_modules=cythonize(
        [e for e in extensions if Path(ROOT, e.sources[0]).exists()],
        compiler_directives={
            "language_level": 3,
            "freethreading_compatible": True,
        },
    ),
    cmdclass={"build_ext": BuildKernels},
)
