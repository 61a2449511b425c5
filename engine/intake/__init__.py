"""Sources to curated tables: contracts, cleaning, identity, quarantine, the simulated bank, public importers."""
