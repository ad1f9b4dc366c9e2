FROM scratch
CMD x y
ENTRYPOINT run this
