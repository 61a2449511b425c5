"""The import contract names every package, so that none can grow up outside it."""

import ast

import pytest

from tests.conftest import REPOSITORY
from tests.house.project import packages_of, pyproject, python_files

CONTRACTS = pyproject()["tool"]["importlinter"]["contracts"]
LAYERS = next(contract for contract in CONTRACTS if contract["type"] == "layers")["layers"]
# import of a library -> the only packages that may write it
ONLY_UNDER = {
    "streamlit": {"engine.ui"},
    "altair": {"engine.ui"},
    "typer": {"engine.cli"},
    "sqlmodel": {"engine.store"},
    "alembic": {"engine.store"},
    "sqlalchemy": {"engine.store", "engine.intake"},  # intake reads a bank's own databases
    "duckdb": {"engine.lake", "engine.intake", "engine.workflows"},
}


def imports_of(text: str) -> set[str]:
    nodes = list(ast.walk(ast.parse(text)))
    whole = {alias.name for node in nodes if isinstance(node, ast.Import) for alias in node.names}
    parts = {node.module for node in nodes if isinstance(node, ast.ImportFrom) and node.module and not node.level}
    return whole | parts


def test_every_package_of_the_engine_stands_in_exactly_one_layer() -> None:
    named = [name.strip() for row in LAYERS for name in row.split("|")]
    assert sorted(named) == sorted([*(f"engine.{name}" for name in packages_of("engine")), "journeys", "experiments"])


def test_every_package_but_ui_is_kept_from_streamlit_and_every_package_but_store_from_sqlmodel() -> None:
    everything = {*(f"engine.{name}" for name in packages_of("engine")), "journeys", "experiments"}
    kept = {contract["name"]: set(contract["source_modules"]) for contract in CONTRACTS if "source_modules" in contract}
    assert everything - kept["Streamlit only under ui"] == {"engine.ui"}
    assert everything - kept["SQLModel only under store"] <= {"engine.store", "engine.workflows"}


@pytest.mark.parametrize("library", sorted(ONLY_UNDER))
def test_a_library_is_imported_only_where_it_belongs(library: str) -> None:
    for path in python_files("engine", "journeys", "experiments"):
        package = ".".join(path.relative_to(REPOSITORY).parts[:2]).removesuffix(".py")
        found = {name.split(".")[0] for name in imports_of(path.read_text(encoding="utf-8"))}
        assert library not in found or package in ONLY_UNDER[library], f"{path} imports {library}"


def test_importing_the_engine_loads_nothing() -> None:
    assert imports_of((REPOSITORY / "engine" / "__init__.py").read_text(encoding="utf-8")) <= {"__future__"}


def test_no_file_is_longer_than_can_be_read_at_once() -> None:
    for path in python_files("engine", "journeys", "experiments"):
        lines = len(path.read_text(encoding="utf-8").splitlines())
        # the contracts of the tables are lists, not code
        assert lines <= 500 or path.parent.name == "domain", f"{path.relative_to(REPOSITORY)} has {lines} lines"


def test_every_folder_of_tests_is_a_package() -> None:
    for folder in {path.parent for path in python_files("tests")}:
        assert (folder / "__init__.py").is_file(), f"{folder.relative_to(REPOSITORY)} lacks __init__.py"
