"""One container under supervision: its states, and the parts that a run of it is made of. Carried by the keeper.

`services` is what the parts use of the supervisor, `task` what puts them together; nothing here knows the supervisor.
"""
