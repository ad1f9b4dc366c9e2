"""The container engine of this machine: images, containers, networks and volumes, without a daemon.

It knows neither Compose nor `composer.engine`; labels are just labels to it.

    base          system calls, files, records on the disk, the loop and the wire: what all others stand on
    network       links, addresses, the firewall, names
    container     a container's first process, and whoever enters it later: mounts, identity, capabilities, seccomp
    streams       a container's output and input, and its log
    tasks         one container under supervision: starts, restarts, health, its end
    supervision   keeper and supervisor, the processes that outlive a command
    objects       containers, networks and volumes on the disk, and asking their supervisors
    images        the content store, archives in and out, the host as an image
    engine        the groups that a backend drives: containers, networks, volumes, images, files
    host          what this machine can do, and what was left behind on it

The keeper carries the first six in a sealed memfd (`supervision.code`): standard library only.
"""
