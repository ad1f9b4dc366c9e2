"""The operations of a plan: one small frozen type per action, each with its cause, and one row for each type.

An operation says what is to be done and why; its row has the words for it and how it is carried out. Containers are
named by `ContainerRef`, because one that the same plan creates has no id yet. Types are imported from the module of
what they are about: a plan without steps, the most frequent one, loads none of them.
"""
