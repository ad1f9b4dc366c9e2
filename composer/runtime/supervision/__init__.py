"""Keeper and supervisor: the two processes of ours that outlive a command.

It is carried in a zip that the keeper holds in memory, so that a running stack does not depend on the installed
package. Standard library only, cheap imports only, one thread per process.
"""
