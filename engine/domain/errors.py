"""Everything that can go wrong, each with the facts as attributes and a sentence that says what to do next.

    WaylineError                exit code 1
    ├── SaidInBoth              what only people at a screen meet, in both languages
    ├── SettingsFault           a settings file or flag is wrong; all faults are listed together
    ├── UnknownName             a name that does not exist, with the nearest one that does
    ├── ContractBroken          a source cannot be loaded at all; bad rows alone go to quarantine
    │   ├── MissingColumns
    │   ├── EmptySource
    │   ├── UnreadableSource    cut, not UTF-8, a bomb, a line too long, not the format it claims
    │   ├── UnusableColumn      not of the kind that a model reads
    │   └── MissingInputs       a table lacks columns that a model was learned with
    ├── LooksAhead              a model would learn from what was not known yet
    ├── WorkspaceMissing        nothing has been initialised or loaded here
    ├── WorkspaceBusy           another run holds the workspace
    ├── RunMissing              no completed run, or not of that name
    ├── MartMissing             the run skipped the stage that makes this table, and why
    ├── NotEnoughData           an answer would be made up
    ├── CurrencyMismatch
    ├── ChangedMeanwhile        somebody else changed what a person was about to change
    ├── DeliveryUnderWay        the same delivery of feedback is being worked on
    ├── KeyReused               another delivery of feedback was sent under the same key
    ├── StoreUnavailable        the operational database cannot be opened, or is of another version
    ├── CheckFailed             exit code 3: a verification found a difference
    └── RefusedByPolicy         exit code 4
        ├── ApprovalNeeded      what a second person has to agree to first
        ├── GroupTooSmall       so few customers that the viewer's role does not see how many
        ├── NotAllowed          a right that the viewer's role does not hold
        └── NotSignedIn         nobody is signed in, or nobody with a role

No message carries a customer's data: columns, counts, rows and ids of rules only.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from difflib import get_close_matches
from typing import Final


class WaylineError(Exception):
    """Wayline cannot answer; the sentence says why and what to do next."""

    exit_code = 1

    def __init__(self, sentence: str) -> None:
        super().__init__(sentence)
        self.sentence = sentence


class SaidInBoth(WaylineError):
    """Something that only people at a screen meet, said in English and in Chinese."""

    def __init__(self, sentence: str, sentence_zh: str) -> None:
        super().__init__(sentence)
        self.sentence_zh = sentence_zh


class SettingsFault(WaylineError):
    """A settings file or flag is wrong; `faults` holds one sentence per fault."""

    exit_code = 2

    def __init__(self, source: str, faults: Sequence[str]) -> None:
        self.source, self.faults = source, tuple(faults)
        listed = "\n".join(f"  - {fault}" for fault in self.faults)
        count = "1 fault" if len(self.faults) == 1 else f"{len(self.faults)} faults"
        super().__init__(f"{source}: {count}.\n{listed}")


class UnknownName(WaylineError):
    """A name that does not exist; `known` lists those that do."""

    exit_code = 2

    def __init__(self, what: str, name: str, known: Iterable[str]) -> None:
        self.what, self.name, self.known = what, name, tuple(known)
        listed = ", ".join(self.known) or "none"
        near = get_close_matches(name, self.known, n=1)
        hint = f' Did you mean "{near[0]}"?' if near else ""
        super().__init__(f'Unknown {what} "{name}". Known: {listed}.{hint}')


class ContractBroken(WaylineError):
    """A source cannot be loaded at all."""


class MissingColumns(ContractBroken):
    """A source lacks columns that its table must have."""

    def __init__(self, source: str, table: str, missing: Sequence[str], found: Sequence[str]) -> None:
        self.source, self.table, self.missing, self.found = source, table, tuple(missing), tuple(found)
        names = ", ".join(f'"{name}"' for name in self.missing)
        first = self.missing[0]
        near = get_close_matches(first, self.found, n=1)
        same = f'If "{near[0]}" is the same thing, map' if near else "Map"
        are = "column {} is" if len(self.missing) == 1 else "columns {} are"
        super().__init__(
            f"{source}: {are.format(names)} missing for the table {table}. Found: {', '.join(self.found) or 'none'}. "
            f"{same} it under [{table}.columns] in the mapping file."
        )


class EmptySource(ContractBroken):
    """A source holds no row at all, which is more often a broken extract than the truth."""

    def __init__(self, source: str, table: str) -> None:
        self.source, self.table = source, table
        super().__init__(
            f"{source}: no rows for the table {table}. Check the extract; when the table really is empty, "
            f"take it out of the mapping file."
        )


class UnreadableSource(ContractBroken):
    """A source cannot be read as what it claims to be."""

    def __init__(self, source: str, problem: str, remedy: str) -> None:
        self.source, self.problem, self.remedy = source, problem, remedy
        super().__init__(f"{source}: {problem}. {remedy}")


class UnusableColumn(ContractBroken):
    """A column is not of the kind that a model reads."""

    def __init__(self, column: str, found: str, expected: str) -> None:
        self.column, self.found, self.expected = column, found, expected
        super().__init__(
            f'The column "{column}" holds {found}, expected {expected}. Convert it before, or leave the column out.'
        )


class MissingInputs(ContractBroken):
    """A table lacks columns that a model was learned with."""

    def __init__(self, source: str, missing: Sequence[str], found: Sequence[str]) -> None:
        self.source, self.missing, self.found = source, tuple(missing), tuple(found)
        names = ", ".join(f'"{name}"' for name in self.missing)
        are = "the column {} is" if len(self.missing) == 1 else "the columns {} are"
        super().__init__(
            f"{source}: {are.format(names)} missing, and the model was learned with it. "
            f"Found: {', '.join(self.found) or 'none'}. Bring what is missing, under that name; a value that is "
            f"unknown for some rows may be empty in those."
        )


class LooksAhead(WaylineError):
    """A model would learn from what was not known yet; `rows` of `of` are concerned."""

    def __init__(self, what: str, rows: int, of: int, remedy: str) -> None:
        self.what, self.rows, self.of = what, rows, of
        super().__init__(f"{rows:,} of {of:,} rows {what}: the model would learn from the future. {remedy}")


class WorkspaceMissing(WaylineError):
    """Nothing has been loaded here."""

    def __init__(self, home: str) -> None:
        self.home = home
        super().__init__(
            f"No data in the workspace {home}. Run `wayline demo`, or `wayline init --from ...` to load your own."
        )


class WorkspaceBusy(WaylineError):
    """Another process holds the workspace."""

    def __init__(self, home: str, holder: str) -> None:
        self.home, self.holder = home, holder
        super().__init__(
            f"The workspace {home} is in use by {holder}. Wait for it to end, or name another with --home."
        )


class RunMissing(WaylineError):
    """No completed run, or none of that name."""

    def __init__(self, home: str, run_id: str | None = None) -> None:
        self.home, self.run_id = home, run_id
        which = f"run {run_id}" if run_id else "completed run"
        super().__init__(f"No {which} in the workspace {home}. `wayline run` makes one.")


class MartMissing(WaylineError):
    """The run has no such table; `reason` says why."""

    def __init__(self, run_id: str, mart: str, reason: str) -> None:
        self.run_id, self.mart, self.reason = run_id, mart, reason
        super().__init__(f"Run {run_id} has no {mart}: {reason}")


class NotEnoughData(WaylineError):
    """An answer would be made up; `need` says what would make it real."""

    def __init__(self, what: str, have: str, need: str) -> None:
        self.what, self.have, self.need = what, have, need
        super().__init__(f"No {what}: {have}. Needed: {need}.")


class ModelSpoilt(WaylineError):
    """A model that was written down is not what was written: cut short, edited, or of another version."""

    def __init__(self, source: str, problem: str) -> None:
        self.source, self.problem = source, problem
        super().__init__(f"{source} cannot be used: {problem}. Take the file as it was written, or fit the model anew.")


class CurrencyMismatch(WaylineError):
    """Amounts of two currencies were added."""

    def __init__(self, left: str, right: str) -> None:
        self.left, self.right = left, right
        super().__init__(f"{left} and {right} cannot be added. Convert at a dated rate first.")


class StoreUnavailable(WaylineError):
    """The operational database cannot be used; `address` holds no password."""

    def __init__(self, address: str, problem: str, remedy: str) -> None:
        self.address, self.problem, self.remedy = address, problem, remedy
        super().__init__(f"The database {address} cannot be used: {problem}. {remedy}")


class CheckFailed(WaylineError):
    """A verification found a difference."""

    exit_code = 3


class RefusedByPolicy(WaylineError):
    """A policy forbids what was asked."""

    exit_code = 4


class ApprovalNeeded(RefusedByPolicy):
    """Something waits for a second person; `facts` say what and why, as the audit log keeps them."""

    def __init__(self, sentence: str, facts: Mapping[str, object]) -> None:
        self.facts = dict(facts)
        super().__init__(sentence)


class GroupTooSmall(RefusedByPolicy):
    """So few customers that a role without the right to small groups does not see how many, nor who."""

    def __init__(self, least: int) -> None:
        self.least = least
        super().__init__(
            f"Fewer than {least} customers: a group this small could point at a person. Choose a larger group, or ask "
            f"somebody of risk."
        )


class NotAllowed(RefusedByPolicy):
    """The viewer's role lacks a right; `right`, `role` and `holders`, the roles that have it, are the names of each."""

    def __init__(self, right: str, role: str, holders: Sequence[str]) -> None:
        self.right, self.role, self.holders = right, role, tuple(holders)
        listed = ", ".join(self.holders) or "none but the owner of an installation on one machine"
        super().__init__(
            f'The role "{role}" does not include "{right}". It belongs to: {listed}. Ask somebody of those.'
        )


class ChangedMeanwhile(SaidInBoth):
    """Somebody else changed a thing between a person's look at it and that person's change."""

    def __init__(self, what: str, by: str, act: str, at: datetime) -> None:
        self.what, self.by, self.act, self.at = what, by, act, at
        super().__init__(
            f"{what[:1].upper()}{what[1:]} changed while you looked at it: {by} ({act.replace('_', ' ')}, "
            f"{at:%Y-%m-%d %H:%M} UTC). Nothing of yours was saved. Look at it again, then decide.",
            f"您查看期间内容已变更：{by}（{at:%Y-%m-%d %H:%M} UTC）。您的操作未保存，请重新查看后再决定。",
        )


class NotSignedIn(RefusedByPolicy):
    """Nobody is known at the app, or nobody who may get in; `reason` is signed_out, expired, no_name or no_role."""

    def __init__(self, reason: str) -> None:
        self.reason = reason
        super().__init__(_SIGN_IN[reason])


_SIGN_IN: Final = {
    "signed_out": "Nobody is signed in. Sign in first.",
    "expired": "The sign-in is older than [access] hours allows. Sign in again.",
    "no_name": "The sign-in does not say who it is: the claim of [access] name_claim is missing or not verified.",
    "no_role": "The sign-in is of no group that [access.roles] maps to a role. Ask who looks after Wayline for one.",
}


class DeliveryUnderWay(WaylineError):
    """A delivery of feedback comes again while the first is being worked on."""

    def __init__(self) -> None:
        super().__init__("A delivery under this key is being worked on. Send it again in a minute to get its answer.")


class KeyReused(WaylineError):
    """A delivery of feedback comes under the key of another one."""

    def __init__(self) -> None:
        super().__init__(
            "Another body was sent under this idempotency key. Give every delivery a key of its own, and repeat one "
            "with the body that it had."
        )
