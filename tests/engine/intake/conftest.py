from pathlib import Path

import pytest

from tests.engine.intake.builders import CUSTOMERS, Delivery


@pytest.fixture
def delivery(tmp_path: Path) -> Delivery:
    """An empty delivery."""
    return Delivery(tmp_path)


@pytest.fixture
def with_customers(delivery: Delivery) -> Delivery:
    """A delivery whose customers C1, C2 and C3 are in order."""
    return delivery.table("customers", CUSTOMERS)
