"""Models that watch the scorecard: additive tables, monotone boosted trees, a random forest; JSON only, no pickle."""
