FROM scratch
run a
