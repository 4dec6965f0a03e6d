# SPDX-License-Identifier: Apache-2.0
"""At once a colcon ``ament_python`` package and a pip package."""

from glob import glob
from pathlib import Path

from setuptools import Extension, find_packages, setup


def share(folder: str) -> list[tuple[str, list[str]]]:
    """Every file below ``folder``, for installation under ``share/tidegate``."""
    places: dict[str, list[str]] = {}
    for name in sorted(glob(f"{folder}/**", recursive=True)):
        if Path(name).is_file() and "__pycache__" not in name:
            places.setdefault(str(Path("share/tidegate") / Path(name).parent), []).append(name)
    return list(places.items())


# The live liquid step; where it cannot be built, the package is installed without it and NumPy steps. Arithmetic is
# strict, whatever CFLAGS say: NaN stays NaN, and no fused multiply-add, so that all processors give the same bits.
C = "src/tidegate/liquid/c"
NATIVE = Extension(
    "tidegate.liquid.native",
    [f"{C}/native.c", f"{C}/cells.c"],
    depends=[f"{C}/cells.h"],
    extra_compile_args=["-std=c99", "-O3", "-fno-fast-math", "-ffp-contract=off", "-fno-trapping-math"],
    optional=True,
)

NODES = ("perception", "policy", "safety", "simulator", "recorder", "player", "joystick", "markers", "saliency")
CVXPY = "cvxpy>=1.5,<2"
ONNX = "onnx>=1.16,<2"
TEST = ["pytest>=8,<10", "pytest-timeout>=2.3,<3", "hypothesis>=6.100,<7"]
EXTRAS = {
    "test": TEST,  # under this name `colcon test` looks for pytest
    "ros": ["ros-jazzy-rclpy", "ros-jazzy-rmw-fastrtps-cpp", "ros-jazzy-common-interfaces"],
    "sim": ["mujoco>=3.3,<5", "gymnasium>=1.0,<2"],
    "arm": ["pin>=2.7,<3"],  # Pinocchio; from 3 on its wheels ask for NumPy 2, which the ROS wheels do not take
    "attack": ["cma>=4,<5"],
    "learn": ["torch>=2.4,<2.15", ONNX, "numba>=0.59,<1"],
    "cvxpy": [CVXPY],  # constraints that a user writes; the tests' oracle as well
    "insight": [
        "matplotlib>=3.8,<4",
        "pillow>=10,<14",
        "scikit-learn>=1.4,<2",
        "scipy>=1.11,<2",
        "av>=12,<19",
        ONNX,  # the maps of an arm's sight
    ],
    "calibrate": ["scipy>=1.11,<2"],
    "data": ["pyarrow>=14,<24", "av>=12,<19"],  # LeRobot data sets; from 24 on pyarrow asks for NumPy 2
    "cluster": ["ray>=2.40,<3"],  # campaigns over several machines
    "sign": ["cryptography>=41,<51"],
    "export": [ONNX],
    "dev": [
        *TEST,
        "pytest-xdist>=3.5,<4",
        "pytest-cov>=5,<8",
        CVXPY,
        "ncps>=1.0,<2",
        "ruff>=0.6,<1",
        "mypy>=1.11,<2",
        "flake8>=7,<8",
        "pydocstyle>=6.3,<7",
        "types-PyYAML",
        "setuptools>=70.1,<80",  # builds the example package in a test
        "colcon-common-extensions>=0.3,<1",
    ],
}
EXTRAS["all"] = [requirement for group in EXTRAS.values() for requirement in group]
# only what is compared against
EXTRAS["bench"] = [
    "qpth>=0.0.18,<0.1",
    "cvxpylayers>=1.0,<2",
    "proxsuite>=0.7,<1",
    "cbfpy>=0.1,<0.2",
    "do-mpc>=5.1,<6",
    "casadi>=3.8,<4",
]

setup(
    packages=find_packages("src"),
    package_dir={"": "src"},
    ext_modules=[NATIVE],
    package_data={"tidegate": ["py.typed", "export/c/*"]},
    data_files=[
        ("share/ament_index/resource_index/packages", ["resource/tidegate"]),
        ("share/tidegate", ["package.xml"]),
        *(entry for folder in ("launch", "config", "urdf", "worlds", "models") for entry in share(folder)),
    ],
    install_requires=[
        "numpy>=1.26,<2",
        "pyyaml>=6,<7",
        "typer>=0.12,<1",
        "rich>=13,<15",
        "daqp>=0.6,<1",
        "onnxruntime>=1.17,<2",
        "opencv-python-headless>=4.9,<5",
        "safetensors>=0.4,<1",
        "rosbags>=0.10,<0.12",
        "mcap>=1.5,<2",
        "lz4>=4,<5",
        "zstandard>=0.20,<1",
        "xacro>=2.0,<3",
    ],
    extras_require=EXTRAS,
    entry_points={
        "console_scripts": [
            "tidegate = tidegate.cli.app:main",
            *(f"{name}_node = tidegate.nodes.main:{name}" for name in NODES),
        ]
    },
    zip_safe=False,
)
