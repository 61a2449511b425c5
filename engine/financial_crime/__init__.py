"""Rules, screening, alerts and cases."""
