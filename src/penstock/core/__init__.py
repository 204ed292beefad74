"""The primitives: pipes, channels, pools, task groups, cancellation. Standard library only.

Each module stands on the ones below it (import-linter holds the order):

    gather | closing          fan out calls under a deadline; close what others opened
    pipe | channel | pool | taskgroup
    budget                    how many bytes may be in flight
    _threads, _future         own a thread; hold its result
    _parking                  one way to wait
    cancel                    why and when to stop
"""
