"""The commands, between the command line and the composition root.

A module imports only what its own commands need: a look at the database must not wait for the service's libraries.
"""
