"""Docker's REST API in front of the built-in runtime.

A client of the same objects on the disk that the commands use: it may be killed and started at any time, and several
may run. `routes` is the table of what it answers.
"""
