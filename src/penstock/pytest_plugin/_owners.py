"""Whose is what was left behind: the tests and the fixtures of wider scope, and what was started under each.

What is started in a test carries the test's node id, by a context variable that tasks and threads inherit; so it is
that test's, whoever sees it. Files and the like carry nothing. They belong to the fixture during whose setup they
appeared, else to the test that ran; and where several ran at the same time, nobody can tell.
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
        key: what ``current_scope`` is while it runs.
        test: the node id of the test; of a fixture, of the test that it was set up for.
        location: where the test is, as in pytest's reports.
        settings: how it is checked.
        checked: it is.
        since: what was there before.
        title: what to call it, of a fixture.
        outer_scope: what ``current_scope`` was before a fixture's teardown.
        running: it is not over.
        alone: no other test has run at the same time.
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
        """Whether a marker says that nothing is to be said about it."""
        return self.settings.enabled is False


class Owners:
    """All tests and wide fixtures of the session so far. Tests may run in several threads at once."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._by_key: dict[str, Owner] = {}
        self._running: set[Owner] = set()
        self._of_fixture: dict[Thing, Owner] = {}
        self._reported: set[Thing] = set()
        #: What turned up when the test it belongs to was over already.
        self.late: dict[Thing, Owner | None] = {}

    def get(self, key: str | None) -> Owner | None:
        """Return the test or fixture whose ``current_scope`` is ``key``."""
        return self._by_key.get(key) if key is not None else None

    def add(self, owner: Owner) -> Owner:
        """Take note of a fixture that is being set up."""
        self._by_key[owner.key] = owner
        return owner

    def begin(self, test: Owner) -> None:
        """Take note of a test that begins."""
        with self._lock:
            self._by_key[test.key] = test
            for other in self._running:
                other.alone = test.alone = False
            self._running.add(test)

    def end(self, test: Owner) -> None:
        """Take note that a test is over and has been looked after."""
        with self._lock:
            test.running, test.since = False, None
            self._running.discard(test)

    def made_by_fixture(self, fixture: Owner, appeared: Iterable[Thing]) -> None:
        """Take note of what appeared during the setup of a fixture, but for what its own fixtures have made."""
        fixture.things = {thing for thing in appeared if thing not in self._of_fixture}
        self._of_fixture.update(dict.fromkeys(fixture.things, fixture))

    def ended_fixture(self, fixture: Owner) -> None:
        """Forget what a fixture made: it is gone, or was reported."""
        for thing in fixture.things:
            self._of_fixture.pop(thing, None)
        fixture.since = None

    def reported(self, leaks: Iterable[Leak]) -> None:
        """Take note of what has been reported, so that it is not reported again."""
        self._reported.update((leak.kind, leak.identity) for leak in leaks)

    def is_reported(self, thing: Thing) -> bool:
        """Whether it has been reported."""
        return thing in self._reported

    def owner_of(self, thing: Thing, scope: str | None) -> Owner | None:
        """Return whose ``thing`` is, if that is known."""
        return self.get(scope) or self._of_fixture.get(thing)

    def belongs_to(self, test: Owner, thing: Thing, scope: str | None) -> bool:
        """Whether ``thing``, found in the check of ``test``, is to be reported for it."""
        owner = self.owner_of(thing, scope)
        if owner is test or (owner is None and test.alone):
            return True
        # Identities may come back, so what was reported counts only where two checks can see the same thing.
        if not self.is_reported(thing) and (owner is None or not (owner.running or owner.excluded)):
            self.late[thing] = owner
        return False


@dataclass(frozen=True, slots=True, kw_only=True)
class NotOf(Ignore):
    """A rule that passes over whatever is not to be reported for one test, so that nobody waits for it to end."""

    test: Owner
    owners: Owners

    def matches(self, straggler: Straggler) -> bool:
        """Whether it is another's."""
        if straggler.kind not in self.test.settings.kinds:
            return True
        return not self.owners.belongs_to(self.test, (straggler.kind, straggler.identity), scope_of(straggler))


@dataclass(frozen=True, slots=True, kw_only=True)
class OnlyOf(Ignore):
    """A rule that passes over everything but certain things."""

    things: frozenset[Thing]
    scope: str | None = None

    def matches(self, straggler: Straggler) -> bool:
        """Whether it is none of them, and was not started under ``scope`` either."""
        if (straggler.kind, straggler.identity) in self.things:
            return False
        return self.scope is None or scope_of(straggler) != self.scope


def scope_of(straggler: Straggler) -> str | None:
    """Return what ``current_scope`` was when a thread or task was started."""
    subject: Any = getattr(straggler, "thread", None) or getattr(straggler, "task", None)
    note = note_of(subject) if subject is not None else None
    return note.scope if note is not None else None


def things_since(snapshot: Snapshot) -> dict[Thing, str | None]:
    """Return what there is now and was not then, each with the scope it was started under."""
    return {
        (straggler.kind, straggler.identity): scope_of(straggler)
        for finder, baseline in zip(FINDERS, snapshot._baselines, strict=True)
        for straggler in finder.stragglers(baseline)
    }
