"""Audiences: rules over all that a run knows of customers, compiled to one expression, counted, explained."""
