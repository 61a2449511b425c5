"""Settings merge key by key, and every fault of a file is told at once."""

from pathlib import Path

import pytest

from engine.config.bank import BankSettings
from engine.config.load import load
from engine.config.products import Catalogue
from engine.domain.errors import SettingsFault


def test_the_workspace_overrides_the_defaults_key_by_key(tmp_path: Path) -> None:
    file = tmp_path / "wayline.toml"
    file.write_text('[bank]\nname = "Other Bank"\n')
    bank = load(BankSettings, "bank", file)
    assert (bank.name, bank.base_currency) == ("Other Bank", "CNY")
    assert bank.rates == load(BankSettings, "bank").rates


def test_rates_to_another_base_currency_replace_the_shipped_ones(tmp_path: Path) -> None:
    file = tmp_path / "wayline.toml"
    file.write_text('[bank]\nbase_currency = "CZK"\n[bank.rates]\nCZK = 1.0\nEUR = 24.5\n')
    assert load(BankSettings, "bank", file).rates == {"CZK": 1.0, "EUR": 24.5}


def test_a_base_currency_whose_rate_is_not_one_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "wayline.toml"
    file.write_text('[bank]\nbase_currency = "CZK"\n')
    with pytest.raises(SettingsFault, match=r"rates\.CZK must be 1"):
        load(BankSettings, "bank", file)


def test_flags_override_the_workspace(tmp_path: Path) -> None:
    file = tmp_path / "wayline.toml"
    file.write_text("[bank]\nseed = 5\n")
    assert load(BankSettings, "bank", file, {"seed": 7}).seed == 7


def test_all_faults_of_a_section_are_told_together(tmp_path: Path) -> None:
    file = tmp_path / "wayline.toml"
    file.write_text('[bank]\nbase_currency = "yuan"\nseed = -1\ncolour = "red"\n')
    with pytest.raises(SettingsFault) as fault:
        load(BankSettings, "bank", file)
    assert len(fault.value.faults) == 3
    assert "colour: no such setting" in fault.value.sentence
    assert "wayline.toml, [bank]" in fault.value.sentence


def test_a_file_that_is_not_toml_names_the_line(tmp_path: Path) -> None:
    file = tmp_path / "wayline.toml"
    file.write_text("[bank\n")
    with pytest.raises(SettingsFault, match="line 1"):
        load(BankSettings, "bank", file)


def test_the_shipped_catalogue_names_only_products_that_exist_as_prerequisites() -> None:
    products = load(Catalogue, "products").products
    ids = {product.product_id for product in products}
    assert len(ids) == len(products) == 24
    assert {product.requires_product_id for product in products} - {None} <= ids
    assert all(product.lgd is not None for product in products if product.is_credit)
