"""The built-in ``ignore`` rules, each with its reason: those of every check, and those that ``strict`` switches off."""

from __future__ import annotations

from penstock.leaks._ignore import Ignore
from penstock.leaks._looking.frames import variables
from penstock.leaks._straggler import Straggler

__all__ = ["ALWAYS_IGNORED", "DEFAULT_IGNORES"]


def _is_trio_worker_with_a_job(straggler: Straggler) -> bool:
    """Whether this trio worker has been given a job that it has not begun: it looks idle until it is scheduled."""
    frames = [frame for frame in getattr(straggler, "frames", ()) if frame.f_code.co_name == "_work"]
    return any(getattr(variables(frame).get("self"), "_job", None) is not None for frame in frames)


#: Tools that observe the program and are no part of it. Ignored even by a strict check.
ALWAYS_IGNORED: tuple[Ignore, ...] = (
    Ignore(kind="thread", any_function="penstock.leaks._faces.watch.*", reason="the thread of leaks.watch()"),
    Ignore(kind="task", any_function="penstock.leaks._check.find_leaks_async", reason="a check in another task"),
    Ignore(
        kind="task", any_function="anyio._backends._asyncio.TestRunner.*", reason="the runner of AnyIO's pytest plugin"
    ),
    Ignore(kind="thread", name="pytest_timeout *", reason="pytest-timeout's timer for the test that runs"),
    Ignore(kind="thread", name="pydevd.*", reason="the debugger of PyCharm and VS Code: lives as long as the session"),
    Ignore(kind="thread", any_function="_pydevd_bundle.*", reason="the same debugger's helpers, which carry no name"),
    Ignore(kind="thread", any_function="debugpy.*", reason="VS Code's debug adapter"),
    Ignore(kind="thread", any_function="pdb.*", reason="a thread stopped in the debugger is where its user put it"),
    Ignore(kind="thread", any_function="execnet.*", reason="how a pytest-xdist worker talks to its controller"),
    Ignore(kind="thread", any_function="coverage.*", reason="coverage.py's own"),
    Ignore(kind="thread", any_function="ipykernel.*", reason="the machinery of a notebook"),
)

#: What idles by design and ends with its owner.
DEFAULT_IGNORES: tuple[Ignore, ...] = (
    *ALWAYS_IGNORED,
    Ignore(
        kind="thread",
        top_function="concurrent.futures.thread._worker",
        reason="an idle worker of a ThreadPoolExecutor (asyncio's default executor has them, as asyncio_0 and on): it "
        "ends when its executor is shut down or dropped, and at interpreter exit. One that runs a job is in the job",
    ),
    Ignore(
        kind="thread",
        top_function="concurrent.futures.process._ExecutorManagerThread.wait_result_broken_or_wakeup",
        reason="goes with the processes of its ProcessPoolExecutor, and those are found",
    ),
    Ignore(
        kind="thread",
        top_function="anyio._backends._asyncio.WorkerThread.run",
        reason="an idle AnyIO worker: it ends after 10 s without work, or with its event loop",
    ),
    Ignore(
        kind="thread",
        top_function="trio._core._thread_cache.WorkerThread._work",
        reason="an idle trio worker: it ends after 10 s without work",
        unless=_is_trio_worker_with_a_job,
    ),
    Ignore(
        kind="thread",
        any_function="penstock.core.pool._crew.Crew._next_job",
        reason="an idle penstock worker: it ends after idle_timeout, or with its pool, which is found",
    ),
    Ignore(
        kind="thread",
        any_function="penstock.core.cancel._alarm.*",
        reason="the one thread of this process that rings penstock's deadlines",
    ),
    Ignore(kind="thread", name="pymongo_*", reason="monitors of a MongoClient; they end when it is closed or dropped"),
    Ignore(
        kind="thread",
        any_function="psycopg_pool.pool.ConnectionPool.worker",
        reason="a maintenance thread of a psycopg pool; it ends when the pool is closed or dropped",
    ),
    Ignore(
        kind="thread",
        any_function="psycopg_pool.sched.Scheduler.run",
        reason="the clock of a psycopg pool; it ends when the pool is closed or dropped",
    ),
    Ignore(
        kind="thread",
        any_function="multiprocessing.queues.Queue._feed",
        reason="the feeder of a multiprocessing.Queue; it ends when the queue is closed or dropped",
    ),
    Ignore(
        kind="thread",
        any_function="multiprocessing.pool.Pool.*",
        reason="helpers of a multiprocessing.Pool; its processes are found",
    ),
    Ignore(
        kind="task",
        top_function="aiohttp.web_protocol.RequestHandler.start",
        reason="an idle keep-alive connection of an aiohttp server; a handler that is stuck is deeper in there",
    ),
    Ignore(
        kind="task",
        any_function="anyio._backends._asyncio._shutdown_process_pool_on_exit",
        reason="AnyIO's worker processes; lives as long as the event loop",
    ),
    Ignore(
        kind="task",
        any_function="pymongo.periodic_executor.AsyncPeriodicExecutor._run",
        reason="a monitor of an AsyncMongoClient; it ends when that is closed",
    ),
    Ignore(
        kind="task",
        any_function="psycopg_pool.pool_async.AsyncConnectionPool.worker",
        reason="a maintenance task of a psycopg pool; it ends when the pool is closed",
    ),
    Ignore(
        kind="task",
        any_function="psycopg_pool.sched_async.AsyncScheduler.run",
        reason="the clock of a psycopg pool; it ends when the pool is closed",
    ),
    Ignore(
        kind="task", created_by="psycopg_pool.*", reason="wait_for() inside the above makes tasks of its own on 3.11"
    ),
    Ignore(kind="thread", any_function="tqdm._monitor.*", reason="tqdm's monitor, one daemon for the process"),
)
