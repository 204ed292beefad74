"""Attribute what is left behind to tests and to fixtures of wider scope.

Threads and tasks started in a test carry the test's node id, in a context variable that they inherit, so they belong to
that test whichever check finds them. Files and the like carry nothing. They belong to the fixture during whose setup they
appeared, else to the test that was running; if several were running at the same time, their owner is unknown.
"""

from __future__ import annotations

import threading
from collections.abc import Hashable, Iterable
from dataclasses import dataclass, field
from typing import Any

from penstock.leaks import Ignore, Leak, Snapshot
from penstock.leaks._finders import FINDERS
from penstock.leaks._noting.origins import note_of
from penstock.leaks._straggler import Straggler
from penstock.pytest_plugin._settings import Settings

__all__ = ["NotOf", "OnlyOf", "Owner", "Owners", "Thing", "things_since"]

Thing = tuple[str, Hashable]
"""The kind and identity of a straggler."""


@dataclass(slots=True, eq=False)
class Owner:
    """A test, or a fixture of wider scope than a test.

    Attributes:
        key: the value of ``current_scope`` while it runs.
        test: the node id of the test; for a fixture, of the test that it was set up for.
        location: where the test is, as in pytest's reports.
        settings: how it is checked.
        checked: whether it is checked.
        since: the snapshot of what existed before it.
        title: the name of a fixture for people.
        outer_scope: the value of ``current_scope`` before a fixture's teardown.
        running: whether it is still running.
        alone: whether no other test has run at the same time.
        things: what appeared while a fixture was set up.
    """

    key: str
    test: str
    location: tuple[str, int | None, str]
    settings: Settings
    checked: bool
    since: Snapshot | None = None
    title: str | None = None
    outer_scope: str | None = None
    running: bool = True
    alone: bool = True
    things: set[Thing] = field(default_factory=set)

    @property
    def excluded(self) -> bool:
        """Whether a marker says that it must not be reported."""
        return self.settings.enabled is False


class Owners:
    """All tests and wide fixtures of the session so far. Tests may run in several threads at once."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._by_key: dict[str, Owner] = {}
        self._running: set[Owner] = set()
        self._of_fixture: dict[Thing, Owner] = {}
        self._reported: set[Thing] = set()
        #: What was found only after the test it belongs to had ended.
        self.late: dict[Thing, Owner | None] = {}

    def get(self, key: str | None) -> Owner | None:
        """Return the test or fixture whose ``current_scope`` is ``key``."""
        return self._by_key.get(key) if key is not None else None

    def add(self, owner: Owner) -> Owner:
        """Register a fixture that is being set up."""
        self._by_key[owner.key] = owner
        return owner

    def begin(self, test: Owner) -> None:
        """Register a test that begins."""
        with self._lock:
            self._by_key[test.key] = test
            for other in self._running:
                other.alone = test.alone = False
            self._running.add(test)

    def end(self, test: Owner) -> None:
        """Note that a test is over and has been checked."""
        with self._lock:
            test.running, test.since = False, None
            self._running.discard(test)

    def made_by_fixture(self, fixture: Owner, appeared: Iterable[Thing]) -> None:
        """Note what appeared during the setup of a fixture, except what the fixtures it uses have made."""
        fixture.things = {thing for thing in appeared if thing not in self._of_fixture}
        self._of_fixture.update(dict.fromkeys(fixture.things, fixture))

    def ended_fixture(self, fixture: Owner) -> None:
        """Forget what a fixture made: it is gone, or has been reported."""
        for thing in fixture.things:
            self._of_fixture.pop(thing, None)
        fixture.since = None

    def reported(self, leaks: Iterable[Leak]) -> None:
        """Note what has been reported, so that it is not reported again."""
        self._reported.update((leak.kind, leak.identity) for leak in leaks)

    def is_reported(self, thing: Thing) -> bool:
        """Whether ``thing`` has been reported."""
        return thing in self._reported

    def owner_of(self, thing: Thing, scope: str | None) -> Owner | None:
        """Return the owner of ``thing``, if it is known."""
        return self.get(scope) or self._of_fixture.get(thing)

    def belongs_to(self, test: Owner, thing: Thing, scope: str | None) -> bool:
        """Whether ``thing``, found in the check of ``test``, should be reported as that test's."""
        owner = self.owner_of(thing, scope)
        if owner is test or (owner is None and test.alone):
            return True
        # Identities may come back, so what was reported counts only where two checks can see the same thing.
        if not self.is_reported(thing) and (owner is None or not (owner.running or owner.excluded)):
            self.late[thing] = owner
        return False


@dataclass(frozen=True, slots=True, kw_only=True)
class NotOf(Ignore):
    """An ignore rule for everything that is not to be reported for one test, so that its check does not wait for it."""

    test: Owner
    owners: Owners

    def matches(self, straggler: Straggler) -> bool:
        """Whether ``straggler`` belongs to somebody else."""
        if straggler.kind not in self.test.settings.kinds:
            return True
        return not self.owners.belongs_to(self.test, (straggler.kind, straggler.identity), scope_of(straggler))


@dataclass(frozen=True, slots=True, kw_only=True)
class OnlyOf(Ignore):
    """An ignore rule for everything but certain things."""

    things: frozenset[Thing]
    scope: str | None = None

    def matches(self, straggler: Straggler) -> bool:
        """Whether ``straggler`` is none of them, and was not started under ``scope`` either."""
        if (straggler.kind, straggler.identity) in self.things:
            return False
        return self.scope is None or scope_of(straggler) != self.scope


def scope_of(straggler: Straggler) -> str | None:
    """Return the value of ``current_scope`` when a thread or task was started."""
    subject: Any = getattr(straggler, "thread", None) or getattr(straggler, "task", None)
    note = note_of(subject) if subject is not None else None
    return note.scope if note is not None else None


def things_since(snapshot: Snapshot) -> dict[Thing, str | None]:
    """Return what exists now and did not exist at ``snapshot``, each with the scope it was started under."""
    return {
        (straggler.kind, straggler.identity): scope_of(straggler)
        for finder, baseline in zip(FINDERS, snapshot._baselines, strict=True)
        for straggler in finder.stragglers(baseline)
    }
