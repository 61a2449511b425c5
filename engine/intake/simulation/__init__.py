"""The simulated bank: seeded, any size, with known truth beside it.

    people -> bureau -> demand (journeys, purchases) -> contracts -> credit -> money -> standing (delays, care, fraud)
                                                            \\-> trials -> contacts -> visits (events)

Everything is made for a chunk of customers at a time from random streams of its own, so that the bank is the same
however many processes make it. `dirt` spoils a few rows, `truth` writes down what no engine may read.
"""

from engine.intake.simulation.bank import SimulationSummary, simulate_bank
from engine.intake.simulation.trials import simulate_experiments

__all__ = ["SimulationSummary", "simulate_bank", "simulate_experiments"]
