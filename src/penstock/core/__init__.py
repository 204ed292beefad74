"""The concurrency primitives: pipes, channels, pools, task groups, cancellation. Standard library only.

The lowest layer but for the errors; everything else in penstock may use it. Inside it, each module uses only those
below it (import-linter enforces the order):

    gather | closing          call several functions under one deadline; close what others opened
    pool                      a bounded pool of worker threads
    pipe | channel | taskgroup
    budget                    how many bytes may be in flight
    _threads                  own a thread
    _future                   hold the result of one (beside it: _async_end, _last_wait)
    _parking                  the one way to wait
    cancel                    why and when to stop waiting
    _anyio, _handled, _origin, _solitude    helpers that use none of the others
"""
