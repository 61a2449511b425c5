"""RFM cells, value tiers and behavioural clusters."""
