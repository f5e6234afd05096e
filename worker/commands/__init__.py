"""What each command does, between the command line and the composition root.

A module imports what its own commands need: who looks at the database must not wait for the libraries of the service.
"""
