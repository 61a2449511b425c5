"""A demo bank has audiences, exports and cases to look at, made as a person makes them, once."""

from __future__ import annotations

import shutil
from pathlib import Path

from engine.domain.access import Role, Viewer
from engine.workflows import audiences, cases, demo_colleagues, export_acks, export_approvals, session
from engine.workflows.view.cases import Asked


def test_colleagues_leave_work_on_every_page_and_do_it_once(small_home: Path, tmp_path: Path) -> None:
    home = tmp_path / "home"
    shutil.copytree(small_home, home)
    demo_colleagues.furnish(home)
    demo_colleagues.furnish(home)
    kept = {one["audience"]: one for one in audiences.listed(home)["audiences"]}
    assert set(kept) == {"mortgage_lookers", "quiet_top_customers"}
    handed = export_acks.listed(home)["exports"]
    assert [one["audience"] for one in handed] == ["mortgage_lookers"]
    assert handed[0]["exported_by"] != handed[0]["approved_by"]
    waits = export_approvals.waiting(session.workspace_at(home))
    assert [one.audience for one in waits] == ["quiet_top_customers"]
    risk = Viewer(name="bob", role=Role.RISK)
    assert cases.listed(home, risk, Asked(view="mine"))["total"] == 2
    assert cases.listed(home, risk, Asked(view="snoozed"))["total"] == 1
