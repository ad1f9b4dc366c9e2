FROM scratch
ARG D=rel
ARG E=/abs
WORKDIR $D
WORKDIR $E
