"""How a plan runs. `local`: in this process, one thread per stage. `registry`: which engines there are."""
