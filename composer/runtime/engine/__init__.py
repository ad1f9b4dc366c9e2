"""The engine's face: containers, networks, volumes, images and files by id or name, for whoever drives the runtime.

Values in are `objects.specs`, values out are records and small tuples. Nothing here prints, reads the environment or
knows who asks.
"""
