"""For the tests of other people's projects: the pytest plugin, and what takes the place of other tools.

plugin      the marker, the fixtures and the options of pytest
keeping     stacks by what they were asked for: made once, taken down in the end
leases      a stack that several processes use goes with the last of them
reaping     a process that takes stacks down when their program was killed
"""
