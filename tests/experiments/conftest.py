from tests.journeys.conftest import spark

__all__ = ["spark"]
