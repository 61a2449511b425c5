"""Which columns of a file an applicant can change, and which way: as settings and the question say."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from engine.config.risk import RiskSettings, Way
from engine.domain.errors import SettingsFault, UnknownName
from engine.risk.file_model import FileModel
from engine.workflows import session


def ways(model: FileModel, home: Path, asked: Mapping[str, Way]) -> dict[str, Way]:
    """Return the ways of `[risk.changeable]` of the workspace with those asked for.

    Raises
    ------
    UnknownName
        A column asked for is none that the model reads.
    SettingsFault
        One is protected or a reason to nobody: no change of it may ever be asked of an applicant.
    """
    never = {*model.protected, *model.never_a_reason}
    for name in asked:
        if name in never:
            fault = (
                f'"{name}" is protected or never a reason, so that no change of it is asked of anybody; leave it out'
            )
            raise SettingsFault("--changeable", [fault])
        if name not in model.inputs:
            raise UnknownName("changeable column", name, model.inputs)
    settings = session.settings(session.workspace_at(home), RiskSettings, "risk")
    return {**settings.changeable, **asked}
