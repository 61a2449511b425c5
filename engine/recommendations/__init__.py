"""The next best product: candidates, propensity, gates, decisions."""
