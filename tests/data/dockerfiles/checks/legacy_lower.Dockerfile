from scratch
env a b
label c d
