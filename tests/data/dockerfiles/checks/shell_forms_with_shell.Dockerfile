FROM scratch AS a
CMD x
SHELL ["/bin/bash", "-c"]
CMD y
FROM a
ENTRYPOINT z
