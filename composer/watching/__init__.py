"""``composer watch``: changes of the source reach the containers that run (``develop.watch``).

    actions     what each action does: one row in one table
    rules       ``develop.watch`` of the services as rules; refuses what cannot be carried out
    work        changes and rules → what is to be done, each thing once
    ledger      what each container still lacks
    batches     when changes are handled: once nothing has changed for a moment
                                                                              ↑ pure: no clock, no file, no backend
    sources     the watched files as they are, compared with what they were: reads directories
    notices     tells where something has changed: the only module that imports watchfiles
    transfer    files into one container: one removal, one archive
    hooks       the command of ``sync+exec`` in a container
    rebuilding  builds, and replaces the containers of the services that were built
    session     the loop: waits for changes, and acts with the project's lock held

Notices are hints only: what has changed is found by looking, and a container gets what it lacks, whenever that was
missed. Nothing here knows options or the terminal.
Spec: https://github.com/compose-spec/compose-spec/blob/main/develop.md; where that is silent, as Docker Compose 5.5.
"""
