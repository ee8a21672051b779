"""Which folder becomes which package: all of them lie in `sinogram` once they are installed (tools/installed)."""

from setuptools import find_packages, setup

FOLDERS = ("actors", "api", "events", "store", "tools")

setup(
    packages=[
        "sinogram",
        *(
            f"sinogram.{name}"
            for name in find_packages(include=[pattern for f in FOLDERS for pattern in (f, f"{f}.*")])
        ),
    ],
    package_dir={"sinogram": "tools/installed"} | {f"sinogram.{folder}": folder for folder in FOLDERS},
    package_data={"sinogram.actors.services.lua": ["prelude.lua"], "sinogram.api.ui": ["built/*", "built/assets/*"]},
)
