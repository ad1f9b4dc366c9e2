"""A project opened on a backend: where the command line, the Python API and the test plugin all begin.

    session     the way to a backend: which one, its recovery, what an action needs
    locks       one command at a time changes a project
    key         the key that seals values in labels
    names       stacks that an earlier version named otherwise

Nothing here knows options, terminals or the process's environment: it is handed over.
"""
