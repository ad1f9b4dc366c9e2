"""The Python API: projects as stacks that a program starts, asks and takes down. Its names are in `composer`.

loading        files and overrides → Project
stack          a project on a backend: up, down, logs, events
service        one service of a stack: addresses, commands, files, waiting
asynchronous   the same for asyncio
ports          published ports moved out of each other's way
surroundings   what is taken from the process: its environment, its directory
"""
