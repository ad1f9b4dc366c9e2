FROM scratch AS unused
ENV a b
WORKDIR rel
CMD x
FROM scratch
ENV c=$d
