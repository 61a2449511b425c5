"""The lock files satisfy pyproject.toml, are checked by hash, and tell nothing of where they were made."""

import re
from functools import cache

import pytest
from packaging.markers import Marker
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

from tests.conftest import REPOSITORY
from tests.house.project import pyproject

LOCKS = ("requirements.lock", "requirements-dev.lock")
PYTHONS = ("3.11", "3.12", "3.13")
PLATFORMS = (("linux", "Linux", "x86_64"), ("darwin", "Darwin", "arm64"), ("win32", "Windows", "AMD64"))


def text(lock: str) -> str:
    return (REPOSITORY / lock).read_text(encoding="utf-8")


@cache
def entries(lock: str) -> tuple[tuple[str, Version, Marker | None, int], ...]:
    """Name, version, marker and number of hashes of every pinned distribution."""
    joined = text(lock).replace("\\\n", " ")
    lines = [line for line in joined.splitlines() if line.strip() and not line.lstrip().startswith("#")]
    found = []
    for line in lines:
        requirement = Requirement(line.split(" --hash")[0].strip())
        (pin,) = requirement.specifier
        assert pin.operator == "==", line
        hashes = re.findall(r"--hash=sha256:[0-9a-f]{64}(?=\s|$)", line)
        found.append((canonicalize_name(requirement.name), Version(pin.version), requirement.marker, len(hashes)))
    return tuple(found)


def required(*extras: str) -> list[Requirement]:
    project = pyproject()["project"]
    lines = list(project["dependencies"])
    for extra in extras:
        lines += project["optional-dependencies"][extra]
    return [Requirement(line) for line in lines]


def environments() -> list[dict[str, str]]:
    return [
        {
            "python_version": python,
            "python_full_version": f"{python}.0",
            "sys_platform": platform,
            "platform_system": system,
            "platform_machine": machine,
            "implementation_name": "cpython",
            "platform_python_implementation": "CPython",
            "os_name": "nt" if platform == "win32" else "posix",
            "extra": "",
        }
        for python in PYTHONS
        for platform, system, machine in PLATFORMS
    ]


@pytest.mark.parametrize(
    ("lock", "extras"),
    [("requirements.lock", ("build",)), ("requirements-dev.lock", ("build", "dev", "postgres", "spark"))],
)
def test_every_requirement_is_pinned_within_its_bounds_wherever_it_is_installed(
    lock: str, extras: tuple[str, ...]
) -> None:
    for environment in environments():
        pins = {
            name: version
            for name, version, marker, _ in entries(lock)
            if marker is None or marker.evaluate(environment)
        }
        for requirement in required(*extras):
            if requirement.marker and not requirement.marker.evaluate(environment):
                continue
            name = canonicalize_name(requirement.name)
            assert name in pins, f"{lock} lacks {name} for {environment}; run `make lock`"
            assert requirement.specifier.contains(pins[name], prereleases=True), f"{name} {pins[name]}: run `make lock`"


def test_every_entry_has_hashes_and_none_comes_twice_for_one_environment() -> None:
    for lock in LOCKS:
        assert len(entries(lock)) > 20
        for environment in environments():
            names = [name for name, _, marker, _ in entries(lock) if marker is None or marker.evaluate(environment)]
            assert len(names) == len(set(names))
        assert all(hashes >= 1 for *_, hashes in entries(lock))


def test_both_locks_pin_the_same_versions() -> None:
    core = {(name, version) for name, version, *_ in entries("requirements.lock")}
    assert core <= {(name, version) for name, version, *_ in entries("requirements-dev.lock")}


@pytest.mark.parametrize("lock", LOCKS)
def test_a_lock_holds_no_address_and_no_option(lock: str) -> None:
    assert "://" not in text(lock)
    assert not re.search(r"^\s*(-i|-f|--(extra-)?index|--find-links|--trusted-host)", text(lock), flags=re.MULTILINE)
    assert "/" not in re.sub(r"#.*", "", text(lock))


def test_every_dependency_says_why_it_is_there() -> None:
    lines = (REPOSITORY / "pyproject.toml").read_text(encoding="utf-8").splitlines()
    start = lines.index("dependencies = [")
    listed = lines[start + 1 : lines.index("]", start)]
    assert len(listed) == len(pyproject()["project"]["dependencies"])
    for line in listed:
        assert re.search(r"#\s+\S+.*", line), f"no reason beside {line.strip()}"


def test_no_other_kind_of_lock_is_kept() -> None:
    assert not [
        name for name in ("uv.lock", "poetry.lock", "pylock.toml", "Pipfile.lock") if (REPOSITORY / name).exists()
    ]
