"""A points scorecard, its validation, tiers and expected loss."""
