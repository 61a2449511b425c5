"""Migrations of the operational database, shipped inside the package and run by `engine.store.migrate`."""
