from scratch
run a
run b
COPY x y
ENV a=1
env b=2
