"""Who gets into the app, and as what."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from engine.config.load import Settings, faults
from engine.domain.access import Role


class AccessSettings(Settings):
    """Who gets in and as what; `defaults/access.toml` explains every key.

    mode : "local", where whoever reaches the app says who they are, or "oidc", where the bank's sign-in says it.
    """

    mode: Literal["local", "oidc"]
    local_role: Role
    claim: Annotated[str, Field(min_length=1)]
    name_claim: Annotated[str, Field(min_length=1)]
    hours: Annotated[float, Field(gt=0, le=168)]
    roles: dict[Role, list[Annotated[str, Field(min_length=1)]]]

    @model_validator(mode="after")
    def _mapped(self) -> AccessSettings:
        if Role.OWNER in self.roles:
            told = (
                "is the role of an installation on one machine, so no group of a sign-in is mapped to it; take it out"
            )
            raise faults(type(self).__name__, [(("roles", "owner"), told)])
        if self.mode == "oidc" and not any(self.roles.values()):
            told = 'nobody would get in: map at least one group, such as admin = ["wayline-admins"]'
            raise faults(type(self).__name__, [(("roles",), told)])
        return self

    def roles_of(self, groups: frozenset[str]) -> tuple[Role, ...]:
        """Return the roles that these groups have, in the order in which roles are told."""
        return tuple(role for role in Role if groups & set(self.roles.get(role, ())))
