"""Find out who can reach an object, with every reference accounted for, as the proof needs it."""
