"""The code that runs inside keeper, supervisor and the first moments of a container.

It is carried in a zip that the keeper holds in memory, so that a running stack does not depend on the installed
package. Standard library only, cheap imports only, one thread per process.
"""
