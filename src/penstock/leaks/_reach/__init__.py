"""Who can reach an object: every reference counted, as a proof needs it."""
