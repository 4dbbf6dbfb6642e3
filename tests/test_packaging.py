"""Wheel, container and CI files against the repository: what they copy, call and promise exists."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
import yaml

import resharp

ROOT = Path(__file__).parents[1]

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
TARGETS = set(re.findall(r"^([\w-]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))
DOCKERFILE = (ROOT / "Dockerfile").read_text(encoding="utf-8")
WORKFLOW = yaml.safe_load((ROOT / ".github" / "workflows" / "tests.yml").read_text(encoding="utf-8"))


def instructions() -> list[tuple[str, str]]:
    """Each instruction of the Dockerfile and what follows it."""
    text = re.sub(r"^#.*\n", "", DOCKERFILE, flags=re.MULTILINE).replace("\\\n", " ")
    return [tuple(line.split(maxsplit=1)) for line in text.splitlines() if line.strip()]


def copied() -> list[str]:
    """What the container's build takes from the repository."""
    found = []
    for name, rest in instructions():
        if name == "COPY" and not rest.startswith("--from"):
            found += rest.split()[:-1]
    return found


def test_the_container_copies_what_is_there_and_all_that_building_needs():
    assert all((ROOT / name).exists() for name in copied())
    needed = {PROJECT["readme"], *PROJECT["license-files"], "pyproject.toml", "src"}
    assert needed <= set(copied())


def test_what_docker_is_sent_is_what_is_copied():
    lines = (ROOT / ".dockerignore").read_text(encoding="utf-8").splitlines()
    rules = [line for line in lines if line and not line.startswith("#")]
    assert rules[0] == "*"
    assert {rule[1:] for rule in rules if rule.startswith("!")} == set(copied())


def test_the_container_is_not_root_and_calls_the_program():
    names = [name for name, _ in instructions()]
    assert dict(instructions())["USER"] == "resharp"
    assert names.index("USER") < names.index("ENTRYPOINT")
    assert dict(instructions())["ENTRYPOINT"] == '["resharp"]'
    assert "resharp" in PROJECT["scripts"]
    last = DOCKERFILE.rsplit("\nFROM ", 1)[1]
    assert "HF_HUB_OFFLINE=1" in last
    assert "pip install" not in last
    extras = re.search(r"\.\[([\w,]+)\]", DOCKERFILE)[1].split(",")
    assert set(extras) <= PROJECT["optional-dependencies"].keys()
    pythons = set(re.findall(r"python:([\d.]+)-slim", DOCKERFILE))
    assert pythons <= set(WORKFLOW["jobs"]["test"]["strategy"]["matrix"]["python"])


def test_torch_is_asked_for_in_one_way():
    (wanted,) = [each for each in PROJECT["dependencies"] if re.match(r"torch\b", each)]
    assert f'"{wanted}"' in DOCKERFILE
    runs = [step.get("run", "") for job in WORKFLOW["jobs"].values() for step in job["steps"]]
    assert {match for run in runs for match in re.findall(r'"(torch[^"]*)"', run)} == {wanted}


def test_every_promised_system_and_python_is_in_the_matrix():
    matrix = WORKFLOW["jobs"]["test"]["strategy"]["matrix"]
    assert {each.split("-")[0] for each in matrix["os"]} == {"ubuntu", "macos", "windows"}
    least = tuple(map(int, PROJECT["requires-python"].removeprefix(">=").split(".")))
    assert min(tuple(map(int, each.split("."))) for each in matrix["python"]) == least
    assert matrix["python"] == ["3.10", "3.11", "3.12", "3.13"]


def test_commands_of_the_workflow_exist():
    for job in WORKFLOW["jobs"].values():
        for step in job["steps"]:
            assert "uses" in step or "run" in step
            for line in step.get("run", "").splitlines():
                words = shlex.split(line, comments=True)
                if words[:1] == ["make"]:
                    assert words[1] in TARGETS
                for extra in re.findall(r"\.\[(\w+)\]", line):
                    assert extra in PROJECT["optional-dependencies"]
                for word in words:
                    assert not word.startswith("examples/") or (ROOT / word).is_file()


def test_the_package_says_that_it_is_typed():
    assert (Path(resharp.__file__).parent / "py.typed").is_file()
    assert "Typing :: Typed" in PROJECT["classifiers"]


@pytest.mark.slow
def test_the_wheel_has_all_that_the_program_reads(tmp_path):
    """Built from a copy, so that nothing is left in the repository."""
    words = [sys.executable, "-m", "build", "--wheel", "--outdir", str(tmp_path), str(ROOT)]
    built = subprocess.run(words, capture_output=True, text=True, timeout=900)
    if "Could not find a version" in built.stdout + built.stderr:
        pytest.skip("the build backend cannot be fetched here")
    assert built.returncode == 0, built.stdout + built.stderr
    (wheel,) = tmp_path.glob("*.whl")
    inside = set(zipfile.ZipFile(wheel).namelist())
    source = Path(resharp.__file__).parent
    files = {path for path in source.rglob("*") if path.is_file() and "__pycache__" not in path.parts}
    assert {path.relative_to(source.parent).as_posix() for path in files} <= inside
    checked = subprocess.run(
        [sys.executable, "-m", "twine", "check", "--strict", wheel], capture_output=True, text=True
    )
    assert checked.returncode == 0, checked.stdout
