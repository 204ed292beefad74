"""Engines run a plan made by ``penstock.flow``. ``registry`` lists them; ``local`` runs one thread per stage."""
