from scratch
cmd x y
entrypoint run this
