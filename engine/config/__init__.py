"""Settings and policies: frozen pydantic models with their defaults in TOML beside them."""
